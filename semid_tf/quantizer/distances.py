"""Nearest codeword by one matrix product."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

_LANES, _SIZE_IN_BLOCKS = 64, 1024


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

    Longer rows are searched in blocks, first for the block: a maximum is vectorised, its place is not.
    """
    if not _in_blocks(scores.shape[1]):
        return _first_highest(scores)
    block = _first_highest(_highest_of_blocks(scores))
    return block * _LANES + _first_highest(tf.reshape(_blocks_at(scores, block[:, None]), (-1, _LANES)))


def _first_highest(scores: tf.Tensor) -> tf.Tensor:
    return tf.argmax(scores, axis=1, output_type=tf.int32)


class Highest(NamedTuple):
    """The highest of each row, falling: scores float32 [n, k] and their places int32 [n, k]."""

    scores: tf.Tensor
    places: tf.Tensor


def several_highest(scores: tf.Tensor, k: int) -> Highest:
    """The k highest scores of each row, float32 [n, size]; of equal ones the first ones, in order.

    Long rows are searched in blocks: the k highest lie in the k blocks with the highest maxima.
    """
    size = scores.shape[1]
    if not _in_blocks(size) or k * _LANES >= size:
        return Highest(*tf.math.top_k(scores, k))
    blocks = _best_blocks(_highest_of_blocks(scores), k)
    return _highest_in(_blocks_at(scores, blocks), blocks, k)


def highest_of_groups(scores: tf.Tensor, offsets: tf.Tensor, k: int) -> Highest:
    """The k highest of each group of rows, an offset added to each row.

    Long rows are searched in blocks, as by `several_highest`; only what is looked at has its offset added.

    Args:
        scores: float32 [n * width, size], `width` rows a group.
        offsets: float32 [n, width].
        k: at most width * size.

    Returns:
        The sums, float32 [n, k], falling, and their places in the group, width * size long; of equal sums the
        first ones, in order.
    """
    width, size = offsets.shape[1], scores.shape[1]
    if not _in_blocks(size) or k * _LANES >= width * size:
        sums = tf.reshape(scores, (-1, width, size)) + offsets[:, :, None]
        return several_highest(tf.reshape(sums, (-1, width * size)), k)
    per_row = size // _LANES
    maxima = tf.reshape(_highest_of_blocks(scores), (-1, width, per_row)) + offsets[:, :, None]
    blocks = _best_blocks(tf.reshape(maxima, (-1, width * per_row)), k)
    looked_at = _blocks_at(tf.reshape(scores, (-1, width * size)), blocks)
    looked_at += tf.gather(offsets, quotient_and_rest(blocks, per_row)[0], batch_dims=1)[:, :, None]
    return _highest_in(looked_at, blocks, k)


def quotient_and_rest(places: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Places, int32 and not negative, by rows of so many: the row, and the place in it.

    >>> [part.numpy().tolist() for part in quotient_and_rest(tf.constant([7, 8]), 4)]
    [[1, 2], [3, 0]]
    """
    if size & (size - 1):
        return places // size, places % size
    # Several times faster than a division.
    return tf.bitwise.right_shift(places, size.bit_length() - 1), tf.bitwise.bitwise_and(places, size - 1)


def _in_blocks(size: int | None) -> bool:
    return size is not None and size >= _SIZE_IN_BLOCKS and size % _LANES == 0


def _highest_of_blocks(scores: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(tf.reshape(scores, (-1, scores.shape[1] // _LANES, _LANES)), axis=2)


def _best_blocks(maxima: tf.Tensor, k: int) -> tf.Tensor:
    """Blocks of the k highest maxima, int32 [n, k], in the order of their places: so ties stay in order."""
    return tf.sort(tf.math.top_k(maxima, k).indices, axis=1)


def _blocks_at(scores: tf.Tensor, blocks: tf.Tensor) -> tf.Tensor:
    """Blocks of each row, float32 [n, k, _LANES], at int32 [n, k]."""
    rows = tf.range(tf.shape(scores)[0])[:, None] * (scores.shape[1] // _LANES)
    return tf.gather(tf.reshape(scores, (-1, _LANES)), rows + blocks)


def _highest_in(looked_at: tf.Tensor, blocks: tf.Tensor, k: int) -> Highest:
    """The k highest of blocks float32 [n, k, _LANES], which stand at int32 [n, k] of their rows."""
    found = tf.math.top_k(tf.reshape(looked_at, (-1, k * _LANES)), k)
    block, lane = quotient_and_rest(found.indices, _LANES)
    return Highest(found.values, tf.gather(blocks, block, batch_dims=1) * _LANES + lane)
