"""Examples -> `tf.data` batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from semid_tf.data.examples import Examples

HISTORY = "history"
CANDIDATES = "candidates"


def training_batches(examples: Examples, batch_size: int, seed: int) -> tf.data.Dataset:
    """Shuffled batches for `fit`; each pass has another order, and the passes are the same for the same seed.

    Only row numbers are shuffled; the arrays are held once, outside the graph.

    Args:
        examples: n examples.
        batch_size: examples in a batch; the last may be smaller.
        seed: fixes the order of every pass (together with `tf.random.set_seed`, if that was called).

    Yields:
        `({"history": int32 [b, H], "candidates": int32 [b, C]}, labels, weights)`, the latter float32 [b, C].
    """
    gather = _gather(examples.history, examples.candidates, examples.labels, examples.weights)

    def batch(rows: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        history, candidates, labels, weights = gather(rows)
        return {HISTORY: history, CANDIDATES: candidates}, labels, weights

    rows = tf.data.Dataset.range(len(examples)).shuffle(
        max(len(examples), 1), seed, reshuffle_each_iteration=True
    )
    return rows.batch(batch_size).map(batch, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def scoring_batches(examples: Examples, batch_size: int) -> tf.data.Dataset:
    """Batches in order, for `predict`.

    Yields:
        `{"history": int32 [b, H], "candidates": int32 [b, C]}`.
    """
    gather = _gather(examples.history, examples.candidates)

    def batch(rows: tf.Tensor) -> dict[str, tf.Tensor]:
        history, candidates = gather(rows)
        return {HISTORY: history, CANDIDATES: candidates}

    rows = tf.data.Dataset.range(len(examples)).batch(batch_size)
    return rows.map(batch, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _gather(*arrays: np.ndarray) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """Looks rows up in tensors made here, eagerly: a graph captures them instead of embedding them."""
    with tf.device("/CPU:0"):
        tensors = [tf.constant(array) for array in arrays]
    return lambda rows: [tf.gather(tensor, rows) for tensor in tensors]
