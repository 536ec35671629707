"""The search for codes, level by level: greedily, and the candidates for the last one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from semid_tf.quantizer.assignment import Assignment
from semid_tf.quantizer.distances import append_one, fold_codebook, highest


class SearchLevel(NamedTuple):
    """A level as a search takes it. Vectors carry a 1 behind them all the way, see `fold_codebook`.

    Attributes:
        folded: float32 [dim + 1, codebook_size].
        words: codewords with a 0 behind, float32 [codebook_size, dim + 1].
        assignment: what is done to a residual before it is coded.
    """

    folded: tf.Tensor
    words: tf.Tensor
    assignment: Assignment

    def enter(self, residual: tf.Tensor) -> tf.Tensor:
        """What the level codes, float32 [n, dim + 1], of what the one before left."""
        if type(self.assignment).enter is Assignment.enter:
            return residual
        return append_one(self.assignment.enter(residual[:, :-1]))

    def left(self, residual: tf.Tensor, code: tf.Tensor) -> tf.Tensor:
        """What the level leaves of what it coded."""
        return residual - tf.gather(self.words, code)


def search_level(
    codewords: tf.Tensor, prices: tf.Tensor | None = None, assignment: Assignment | None = None
) -> SearchLevel:
    """Prepares codewords, float32 [codebook_size, dim], for a search."""
    words = tf.pad(codewords, [[0, 0], [0, 1]])
    return SearchLevel(fold_codebook(codewords, prices), words, assignment or Assignment())


def greedy_codes(latent: tf.Tensor, levels: Sequence[SearchLevel]) -> tf.Tensor:
    """The nearest codeword at each level: latent float32 [n, dim] -> int32 [n, num_levels]."""
    codes, residual = [], append_one(latent)
    for level in levels:
        residual = level.enter(residual)
        codes.append(highest(tf.matmul(residual, level.folded)))
        residual = level.left(residual, codes[-1])
    return tf.stack(codes, axis=1)


def last_entered(latent: tf.Tensor, levels: Sequence[SearchLevel], codes: tf.Tensor) -> tf.Tensor:
    """What the last level codes under an item's earlier codes, float32 [n, dim + 1]."""
    residual = append_one(latent)
    for place, level in enumerate(levels[:-1]):
        residual = level.left(level.enter(residual), codes[:, place])
    return levels[-1].enter(residual)
