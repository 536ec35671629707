"""Levels fitted on what several paths of a beam leave of each item, as FAISS does."""

from __future__ import annotations

from functools import partial

import numpy as np
import tensorflow as tf

from semid_tf.config import CodeSpace
from semid_tf.quantizer.beam import Paths, extended
from semid_tf.quantizer.chunks import in_chunks, rows_at_once
from semid_tf.quantizer.distances import append_one
from semid_tf.quantizer.levels import kmeans_levels
from semid_tf.quantizer.search import search_level

_PATHS, _PATHS_AN_ITEM = 100_000, 2


def fit_on_paths(
    points: np.ndarray,
    weights: np.ndarray,
    code_space: CodeSpace,
    beam_width: int,
    iterations: int,
    seed: int,
) -> np.ndarray:
    """Euclidean k-means level by level, each on what the best paths so far leave.

    An item counts once for each of its paths, so that a level sees more than what greedy codes leave of few
    items. K-means sees at most 100,000 of all paths, or two for each item. Memory holds beam_width
    times the points.

    Args:
        points: float32 [n, dim].
        weights: float32 [n], positive.
        code_space: levels and codes.
        beam_width: paths kept of each item.
        iterations: at most so many Lloyd iterations a level and stage.
        seed: level l is fitted with seed + l.

    Returns:
        Codebooks, float32 [num_levels, largest codebook, dim].
    """
    left, clusterings = points[:, None, :], kmeans_levels(code_space.num_levels, iterations)
    codebooks = np.zeros((code_space.num_levels, code_space.largest, points.shape[1]), np.float32)
    for level, size in enumerate(code_space.codebook_sizes):
        vectors, of_vectors = _drawn(left, weights, seed + level)
        codebooks[level, :size] = clusterings[level](vectors, of_vectors, size, seed + level).centres
        if level + 1 < code_space.num_levels:
            left = _best_paths(left, codebooks[level, :size], beam_width)
    return codebooks


def _drawn(left: np.ndarray, weights: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Some of all paths, uniformly, and their weights."""
    count, width, dim = left.shape
    most = min(max(_PATHS_AN_ITEM * count, _PATHS), count * width)
    rows = np.sort(np.random.default_rng(seed).choice(count * width, most, replace=False))
    return left.reshape(-1, dim)[rows], weights[rows // width]


def _best_paths(left: np.ndarray, codebook: np.ndarray, beam_width: int) -> np.ndarray:
    """What the best of all one-level extensions leave: float32 [n, paths, dim] -> [n, kept, dim]."""
    width, dim = left.shape[1:]
    level, kept = search_level(tf.constant(codebook)), min(beam_width, width * len(codebook))

    @partial(tf.function, reduce_retracing=True, autograph=False)
    def best(part: tf.Tensor) -> tf.Tensor:
        ends = append_one(tf.reshape(part, (-1, dim)))
        paths = Paths(ends, -0.5 * tf.reduce_sum(tf.square(part), axis=2))
        return tf.reshape(extended(paths, level, kept)[0].left, (-1, kept, dim + 1))[:, :, :-1]

    return in_chunks(best, left, rows_at_once(width * len(codebook)))
