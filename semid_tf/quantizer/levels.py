"""Fits the levels of a residual quantizer in turn, each on what the earlier ones left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from semid_tf.config import CodeSpace
from semid_tf.quantizer.assignment import Assignment
from semid_tf.quantizer.breathing import CYCLES
from semid_tf.quantizer.kmeans import weighted_kmeans
from semid_tf.quantizer.nearest import nearest_of


class Clusters(NamedTuple):
    """Clusters of points.

    Attributes:
        centres: float32 [size, dim].
        nearest: the cluster of each point, int32 [n].
        prices: of the clusters, float32 [size]; see `fold_codebook`.
    """

    centres: np.ndarray
    nearest: np.ndarray
    prices: np.ndarray


#: Points float32 [n, dim], weights [n], number of clusters, seed -> clusters.
Clustering = Callable[[np.ndarray, np.ndarray, int, int], Clusters]


class FittedLevels(NamedTuple):
    """Levels fitted in turn.

    Attributes:
        codebooks: float32 [num_levels, largest codebook, dim].
        prices: float32 [num_levels, largest codebook].
        norms: mean length of what each level was to code, before it was brought to length 1;
            float32 [num_levels].
        codes: of the points, int32 [n, num_levels].
    """

    codebooks: np.ndarray
    prices: np.ndarray
    norms: np.ndarray
    codes: np.ndarray


def kmeans_levels(num_levels: int, iterations: int) -> list[Clustering]:
    """Plain weighted k-means; the first level alone has clusters to find, and breathes."""
    return [kmeans_clusters(iterations, CYCLES), *[kmeans_clusters(iterations)] * (num_levels - 1)]


def kmeans_clusters(iterations: int, cycles: int = 0) -> Clustering:
    """Weighted k-means, see `weighted_kmeans`."""

    def cluster(points: np.ndarray, weights: np.ndarray, size: int, seed: int) -> Clusters:
        centres, nearest = weighted_kmeans(points, weights, size, iterations, seed, cycles)
        return Clusters(centres, nearest, np.zeros(size, np.float32))

    return cluster


def fit_levels(
    points: np.ndarray,
    weights: np.ndarray,
    code_space: CodeSpace,
    parts: Sequence[Assignment],
    clusterings: Sequence[Clustering],
    seed: int,
) -> FittedLevels:
    """Clusters points level by level.

    Args:
        points: float32 [n, dim].
        weights: float32 [n], positive.
        code_space: levels and codes.
        parts: the assignment of each level.
        clusterings: how each level is clustered.
        seed: level l is fitted with seed + l.
    """
    levels, largest = code_space.num_levels, code_space.largest
    codebooks = np.zeros((levels, largest, points.shape[1]), np.float32)
    prices, norms = np.zeros((levels, largest), np.float32), np.ones(levels, np.float32)
    codes, left = np.zeros((len(points), levels), np.int32), points
    for level, (size, part, cluster) in enumerate(
        zip(code_space.codebook_sizes, parts, clusterings, strict=True)
    ):
        entered = part.enter(tf.constant(left)).numpy()
        if not part.additive:
            norms[level] = np.average(np.linalg.norm(left, axis=1), weights=weights)
        found = _assigned(
            part, part.inputs(tf.constant(entered)).numpy(), weights, size, cluster, seed + level
        )
        codebooks[level, :size], prices[level, :size] = found.centres, found.prices
        codes[:, level] = found.nearest
        left = entered - found.centres[found.nearest]
    return FittedLevels(codebooks, prices, norms, codes)


def _assigned(
    part: Assignment, inputs: np.ndarray, weights: np.ndarray, size: int, cluster: Clustering, seed: int
) -> Clusters:
    found = cluster(inputs, weights, size, seed)
    words = part.codewords(tf.constant(found.centres)).numpy()
    if np.array_equal(words, found.centres):
        return found
    return Clusters(words, nearest_of(inputs)(words, found.prices), found.prices)
