"""How often a batch chose each code, and what it held against it, over all replicas."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from semid_tf.config import CodeSpace
from semid_tf.quantizer.replicas import global_sum
from semid_tf.quantizer.residual import Quantized


class BatchUse(NamedTuple):
    """Weighted use of the codes by one batch; rows of weight 0 leave no trace.

    Attributes:
        counts: float32 [num_levels, largest codebook]; weight of the items that chose a code.
        sums: float32 [num_levels, largest codebook, dim]; weighted sum of their inputs.
    """

    counts: tf.Tensor
    sums: tf.Tensor


def batch_use(quantized: Quantized, weights: tf.Tensor, code_space: CodeSpace) -> BatchUse:
    """Counts and sums of a batch; weights float32 [n], not negative."""
    weighed = tf.where(weights[:, None] > 0, weights[:, None] * quantized.inputs, 0.0)
    return BatchUse(
        _by_code(quantized.codes, _at_each_level(weights, code_space), code_space),
        _by_code(quantized.codes, weighed, code_space),
    )


def batch_counts(codes: tf.Tensor, weights: tf.Tensor, code_space: CodeSpace) -> tf.Tensor:
    """Items of weight above 0 that chose each code: int32 [num_levels, largest codebook]."""
    count = _at_each_level(tf.cast(weights > 0, tf.int32), code_space)
    return _by_code(codes, count, code_space)


def _at_each_level(values: tf.Tensor, code_space: CodeSpace) -> tf.Tensor:
    return tf.tile(values[None, :], [code_space.num_levels, 1])


def _by_code(codes: tf.Tensor, values: tf.Tensor, code_space: CodeSpace) -> tf.Tensor:
    """Sums of values [num_levels, n, ...] over the items that chose a code: [num_levels, largest, ...]."""
    levels, size, shape = code_space.num_levels, code_space.largest, values.shape[2:]
    places = tf.reshape(tf.transpose(codes) + size * tf.range(levels)[:, None], [-1])
    sums = tf.math.unsorted_segment_sum(tf.reshape(values, (-1, *shape)), places, levels * size)
    return global_sum(tf.reshape(sums, (levels, size, *shape)))


def existing_codes(code_space: CodeSpace) -> tf.Tensor:
    """Which places of a table [num_levels, largest codebook] are codes: bool."""
    return tf.sequence_mask(code_space.codebook_sizes, code_space.largest)
