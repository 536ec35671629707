"""Nearest codeword by one matrix product."""

from __future__ import annotations

import tensorflow as tf

_LANES = 32
_SIZE_IN_BLOCKS = 1024


def fold_codebook(codebook: tf.Tensor, prices: tf.Tensor | None = None) -> tf.Tensor:
    """Codebook float32 [codebook_size, dim] -> float32 [dim + 1, codebook_size] for `nearest_codes`.

    argmin ||r - e||^2 / 2 + price = argmax (r . e - ||e||^2 / 2 - price): the last two become one more row of
    the product. Prices, float32 [codebook_size], make crowded codewords dearer; None = free.
    """
    half_norm = 0.5 * tf.reduce_sum(tf.square(codebook), axis=1, keepdims=True)
    last = half_norm if prices is None else half_norm + prices[:, None]
    return tf.transpose(tf.concat([codebook, -last], axis=1))


def append_one(vectors: tf.Tensor) -> tf.Tensor:
    """Float32 [n, dim] -> [n, dim + 1]: a 1 behind each vector, for the last row of a folded codebook."""
    return tf.pad(vectors, [[0, 0], [0, 1]], constant_values=1.0)


def nearest_codes(residual: tf.Tensor, folded: tf.Tensor) -> tf.Tensor:
    """Index of the nearest codeword in Euclidean distance.

    Args:
        residual: float32 [n, dim].
        folded: float32 [dim + 1, codebook_size], see `fold_codebook`.

    Returns:
        int32 [n], each in [0, codebook_size); ties go to the lowest index.
    """
    return highest(tf.matmul(append_one(residual), folded))


def highest(scores: tf.Tensor) -> tf.Tensor:
    """Place of the highest score of each row, float32 [n, k]: int32 [n]; ties go to the lowest index.

    Long rows are searched in blocks, first for the block: a maximum is vectorised, an argmax is not.
    """
    size = scores.shape[1]
    if size is None or size < _SIZE_IN_BLOCKS or size % _LANES:
        return tf.argmax(scores, axis=1, output_type=tf.int32)
    blocks = size // _LANES
    highest_of_block = tf.reduce_max(tf.reshape(scores, (-1, blocks, _LANES)), axis=2)
    block = tf.argmax(highest_of_block, axis=1, output_type=tf.int32)
    rows = tf.range(tf.shape(scores)[0]) * blocks + block
    lane = tf.argmax(tf.gather(tf.reshape(scores, (-1, _LANES)), rows), axis=1, output_type=tf.int32)
    return block * _LANES + lane
