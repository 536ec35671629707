"""Functions of tensors over more rows than go through at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

_ROWS = 4096
_FEW_SCORES, _SCORES = 1024, 2**21


def in_chunks(function: Callable[[np.ndarray], tf.Tensor], rows: np.ndarray, most: int = _ROWS) -> np.ndarray:
    """function of rows [n, ...], n at least 1, in chunks of at most so many: [n, ...]."""
    return np.concatenate([function(rows[i : i + most]).numpy() for i in range(0, len(rows), most)])


def rows_at_once(scores: int) -> int:
    """Rows that hold two million scores together, so many each.

    Those stay in the cache of a processor, in memory that was in use before. Of many rows at once they go
    through fresh memory, which costs as much again as the products that fill it.
    """
    return max(_SCORES // scores, 1)


def in_blocks(
    function: Callable[[tf.Tensor], tf.Tensor], rows: tf.Tensor, scores: int, width: int
) -> tf.Tensor:
    """The same in a graph, in blocks of `rows_at_once`, where a row takes more than a thousand scores.

    Variables should be read before: a loop that reads them takes one block after the other.

    Args:
        function: float32 [m, dim] -> int32 [m, width], each row for itself.
        rows: float32 [n, dim].
        scores: floats that a row takes meanwhile.
        width: of the result.

    Returns:
        int32 [n, width].
    """
    if scores <= _FEW_SCORES or tf.executing_eagerly():
        return function(rows)
    count = tf.shape(rows)[0]
    blocks = tf.maximum(-(-count // rows_at_once(scores)), 1)
    size = -(-count // blocks)
    padded = tf.pad(rows, [[0, blocks * size - count], [0, 0]])
    parts = tf.reshape(padded, (blocks, size, tf.shape(rows)[1]))
    found = tf.map_fn(function, parts, fn_output_signature=tf.TensorSpec((None, width), tf.int32))
    return tf.reshape(found, (-1, width))[:count]
