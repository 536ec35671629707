"""Items that are seen together are pulled together (PLUM, arXiv 2510.07784)."""

from __future__ import annotations

import tensorflow as tf


def co_occurrence_loss(
    first: tf.Tensor, second: tf.Tensor, weights: tf.Tensor | None = None, temperature: float = 0.1
) -> tf.Tensor:
    """InfoNCE in the batch: the partner of an item against the partners of all others.

    -log exp(cos(a_i, b_i) / t) / sum_j exp(cos(a_i, b_j) / t).

    Args:
        first, second: float32 [n, dim]; row i of both are items seen together.
        weights: float32 [n]; a pair of weight 0 is no negative of the others.
        temperature: t, above 0.

    Returns:
        float32 [n], one loss a pair.
    """
    similarity = tf.matmul(
        tf.math.l2_normalize(first, axis=1), tf.math.l2_normalize(second, axis=1), transpose_b=True
    )
    logits = similarity / temperature
    if weights is not None:
        counts = (weights > 0)[None, :] | tf.eye(tf.shape(weights)[0], dtype=tf.bool)
        logits = tf.where(counts, logits, logits.dtype.min)
    return tf.reduce_logsumexp(logits, axis=1) - tf.linalg.diag_part(logits)
