"""How often a batch chose each code, and what it held against it, over all replicas."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from semid_tf.config import CodeSpace
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
    levels, size, dim = code_space.num_levels, code_space.largest, quantized.inputs.shape[-1]
    place = tf.reshape(tf.transpose(quantized.codes) + size * tf.range(levels)[:, None], [-1])
    weighed = tf.where(weights[:, None] > 0, weights[:, None] * quantized.inputs, 0.0)
    counts = tf.math.unsorted_segment_sum(tf.tile(weights, [levels]), place, levels * size)
    sums = tf.math.unsorted_segment_sum(tf.reshape(weighed, (-1, dim)), place, levels * size)
    return BatchUse(
        over_replicas(tf.reshape(counts, (levels, size))),
        over_replicas(tf.reshape(sums, (levels, size, dim))),
    )


def over_replicas(values: tf.Tensor) -> tf.Tensor:
    """The sum of a tensor over the replicas of a distribution strategy; itself where there is but one."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def existing_codes(code_space: CodeSpace) -> tf.Tensor:
    """Which places of a table [num_levels, largest codebook] are codes: bool."""
    return tf.sequence_mask(code_space.codebook_sizes, code_space.largest)
