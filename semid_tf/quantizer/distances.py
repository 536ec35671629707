"""Nearest codeword by one matrix product."""

from __future__ import annotations

import tensorflow as tf


def fold_codebook(codebook: tf.Tensor) -> tf.Tensor:
    """Codebook float32 [codebook_size, dim] -> float32 [dim + 1, codebook_size] for `nearest_codes`.

    argmin ||r - e||^2 = argmax (r . e - ||e||^2 / 2): the half norm becomes one more row of the product.
    """
    half_norm = 0.5 * tf.reduce_sum(tf.square(codebook), axis=1, keepdims=True)
    return tf.transpose(tf.concat([codebook, -half_norm], axis=1))


def nearest_codes(residual: tf.Tensor, folded: tf.Tensor) -> tf.Tensor:
    """Index of the nearest codeword in Euclidean distance.

    Args:
        residual: float32 [n, dim].
        folded: float32 [dim + 1, codebook_size], see `fold_codebook`.

    Returns:
        int32 [n], each in [0, codebook_size); ties go to the lowest index.
    """
    with_one = tf.pad(residual, [[0, 0], [0, 1]], constant_values=1.0)
    return tf.argmax(tf.matmul(with_one, folded), axis=1, output_type=tf.int32)
