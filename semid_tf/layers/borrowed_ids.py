"""IDs for items that training never saw: those of the most alike items that it did."""

from __future__ import annotations

import tensorflow as tf

_SHARPNESS = 20.0  # chosen on Amazon Beauty by validation


def borrowed_rows(
    table: tf.Tensor, counts: tf.Tensor, content: tf.Tensor, embeddings: tf.Tensor, neighbours: int
) -> tf.Tensor:
    """Weighted means of the rows of the nearest items by cosine of content: float32 [n, dim].

    A neighbour weighs exp(20 cosine) times its count: what a frequent item's row says is better known.
    Nobody borrows from items of count 0; an item without content, all zeros, is like no other and gets zeros.

    Args:
        table: float32 [m, dim], rows to borrow.
        counts: float32 [m], how often training saw them.
        content: float32 [m, embedding_dim], of the same items.
        embeddings: float32 [n, embedding_dim], of those that borrow.
        neighbours: at most m.
    """
    alike = tf.matmul(tf.math.l2_normalize(embeddings, 1), tf.math.l2_normalize(content, 1), transpose_b=True)
    nearest = tf.math.top_k(tf.where(counts > 0, alike, -2.0), neighbours)
    weights = tf.exp(_SHARPNESS * (nearest.values - 1.0)) * tf.gather(counts, nearest.indices)
    weights *= tf.cast(tf.reduce_any(embeddings != 0.0, axis=1, keepdims=True), weights.dtype)
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=1, keepdims=True))
    return tf.einsum("nk,nkd->nd", weights, tf.gather(table, nearest.indices))
