"""Beam search over levels: several beginnings of a Semantic ID are kept until the last level decides."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from semid_tf.quantizer.distances import append_one, highest, several_highest
from semid_tf.quantizer.search import SearchLevel, greedy_codes, last_scores


def beam_codes(latent: tf.Tensor, levels: Sequence[SearchLevel], beam_width: int) -> tf.Tensor:
    """Codes whose codewords add up nearest to the latent vector, among those that a beam finds.

    A beam can lose the greedy path at a middle level, so the greedy codes are held against its best: the
    squared error of an item is never larger than by greedy search. Costs beam_width times the products of
    greedy search.

    Args:
        latent: float32 [n, dim].
        levels: all of an additive assignment.
        beam_width: beginnings kept at each level; 1 is greedy search.

    Returns:
        int32 [n, num_levels]. Given the earlier codes, the last one is that of the nearest codeword.
    """
    greedy = greedy_codes(latent, levels)
    if beam_width == 1:
        return greedy
    found = _best_of_beam(latent, levels, beam_width)
    last = highest(last_scores(latent, levels, found))
    found = tf.concat([found[:, :-1], last[:, None]], axis=1)
    better = squared_error(latent, levels, found) < squared_error(latent, levels, greedy)
    return tf.where(better[:, None], found, greedy)


def squared_error(latent: tf.Tensor, levels: Sequence[SearchLevel], codes: tf.Tensor) -> tf.Tensor:
    """||latent - sum of codewords||^2, float32 [n]."""
    left = append_one(latent)
    for place, level in enumerate(levels):
        left = level.left(left, codes[:, place])
    return tf.reduce_sum(tf.square(left[:, :-1]), axis=1)


def _best_of_beam(latent: tf.Tensor, levels: Sequence[SearchLevel], beam_width: int) -> tf.Tensor:
    count, width = tf.shape(latent)[0], 1
    left, total = append_one(latent), tf.zeros((count, 1))
    codes = tf.zeros((count, 1, 0), tf.int32)
    for level in levels:
        # Of -||r - e||^2 / 2 only r . e - ||e||^2 / 2 depends on the choice; its sum over levels ranks paths.
        size = level.folded.shape[1]
        scores = tf.reshape(tf.matmul(left, level.folded), (-1, width, size)) + total[:, :, None]
        kept = min(beam_width, width * size)
        total, place = several_highest(tf.reshape(scores, (-1, width * size)), kept)
        parent, code = place // size, place % size
        row = tf.reshape(parent + width * tf.range(count)[:, None], [-1])
        left = level.left(tf.gather(left, row), tf.reshape(code, [-1]))
        codes = tf.concat([tf.gather(codes, parent, batch_dims=1), code[:, :, None]], axis=2)
        width = kept
    return codes[:, 0]
