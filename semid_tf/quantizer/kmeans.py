"""Weighted k-means by matrix products."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from sklearn.cluster import kmeans_plusplus

from semid_tf.quantizer.distances import fold_codebook, nearest_codes

_CHUNK = 8192
_START_POINTS_PER_CENTRE = 16
_SETTLED = 1e-4


def weighted_kmeans(
    points: np.ndarray, weights: np.ndarray, num_centres: int, iterations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lloyd's algorithm from a k-means++ start on a sample; a centre without points moves to a far point.

    An iteration costs n * num_centres * dim multiplications. It stops early when fewer than one point in
    10,000 changes its centre.

    Args:
        points: float32 [n, dim]; n at least num_centres.
        weights: float32 [n], positive.
        num_centres: of the result.
        iterations: at most so many.
        seed: fixes the start.

    Returns:
        Centres float32 [num_centres, dim], and the nearest centre of each point, int32 [n].
    """
    centres = _start(points, weights, num_centres, seed)
    nearest, error = _assign(points, centres)
    for _ in range(iterations):
        centres = _means(points, weights, nearest, error, num_centres)
        before = nearest
        nearest, error = _assign(points, centres)
        if np.mean(nearest != before) < _SETTLED:
            break
    return centres, nearest


def _start(points: np.ndarray, weights: np.ndarray, num_centres: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    count = min(len(points), _START_POINTS_PER_CENTRE * num_centres)
    rows = random.choice(len(points), count, replace=False, p=weights / weights.sum(dtype=np.float64))
    return kmeans_plusplus(points[rows], num_centres, random_state=seed)[0]


@tf.function(reduce_retracing=True)
def _nearest(points: tf.Tensor, centres: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    nearest = nearest_codes(points, fold_codebook(centres))
    return nearest, tf.reduce_sum(tf.square(points - tf.gather(centres, nearest)), axis=1)


def _assign(points: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    starts = range(0, len(points), _CHUNK)
    parts = [_nearest(tf.constant(points[i : i + _CHUNK]), tf.constant(centres)) for i in starts]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _means(
    points: np.ndarray, weights: np.ndarray, nearest: np.ndarray, error: np.ndarray, num_centres: int
) -> np.ndarray:
    totals = np.bincount(nearest, weights=weights, minlength=num_centres)
    sums = tf.math.unsorted_segment_sum(points * weights[:, None], nearest, num_centres).numpy()
    centres = sums / np.maximum(totals, np.finfo(np.float32).tiny)[:, None]
    empty = np.flatnonzero(totals == 0)
    centres[empty] = points[np.argsort(-error * weights, kind="stable")[: len(empty)]]
    return centres.astype(np.float32)
