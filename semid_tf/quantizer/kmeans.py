"""Weighted k-means by matrix products."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
from scipy import sparse
from sklearn.cluster import kmeans_plusplus
from threadpoolctl import threadpool_limits

from semid_tf.quantizer.breathing import breathe
from semid_tf.quantizer.nearest import nearest_of, squared_gaps

_START_POINTS_PER_CENTRE = 16
_SAMPLE_PER_CENTRE = 64
_SETTLED = 1e-4
_FIRST_DIM = 4
_MOMENTUM = np.float32(0.6)


def weighted_kmeans(
    points: np.ndarray, weights: np.ndarray, num_centres: int, iterations: int, seed: int, cycles: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Lloyd's algorithm in few dimensions first, then in more, then `breathe`.

    Starts from k-means++ on 16 points a centre along their 4 principal axes of largest variance. Each stage
    doubles the dimensions (FAISS calls this progressive dimensions); all are run on 64 points a centre, and
    in the end, where there are more, on all points. An iteration costs points * num_centres * dimensions
    multiplications. A stage ends early when fewer than one point in 10,000 changes its centre. A centre
    without points moves to a far point.

    Args:
        points: float32 [n, dim]; n at least num_centres.
        weights: float32 [n], positive.
        num_centres: of the result.
        iterations: at most so many a stage.
        seed: fixes the start.
        cycles: of `breathe`, at most; for points in clusters, as residuals are not.

    Returns:
        Centres float32 [num_centres, dim], and the nearest centre of each point, int32 [n].
    """
    random = np.random.default_rng(seed)
    sample = _sample(weights, _SAMPLE_PER_CENTRE * num_centres, random)
    axes = _axes(points[sample], weights[sample])
    turned, of_turned = points[sample] @ axes, weights[sample]
    stages = _stages(points.shape[1])
    centres = _start(turned[:, : stages[0]], of_turned, num_centres, random)
    for dim in stages:
        centres = np.pad(centres, ((0, 0), (0, dim - centres.shape[1])))
        rows = np.ascontiguousarray(turned[:, :dim])
        centres, nearest = _lloyd(rows, of_turned, centres, iterations)
    if cycles:
        lloyd = partial(_lloyd, rows, of_turned)
        centres, nearest = breathe(rows, of_turned, centres, nearest, lloyd, cycles, random)
    centres = centres @ axes.T
    return (centres, nearest) if len(sample) == len(points) else _lloyd(points, weights, centres, iterations)


def _stages(dim: int) -> list[int]:
    """Dimensions of the stages, doubled from 4 on up to half of the last.

    >>> _stages(32), _stages(31), _stages(3)
    ([4, 8, 16, 32], [4, 8, 31], [3])
    """
    doubled = (_FIRST_DIM * 2**turn for turn in itertools.count())
    return [*itertools.takewhile(lambda below: 2 * below <= dim, doubled), dim]


def _axes(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Principal axes, of largest variance first: float32 [dim, dim]."""
    centred = points - np.average(points, axis=0, weights=weights)
    _, axes = np.linalg.eigh((centred * weights[:, None]).T @ centred)
    return np.ascontiguousarray(axes[:, ::-1], dtype=np.float32)


def _sample(weights: np.ndarray, most: int, random: np.random.Generator) -> np.ndarray:
    count = len(weights)
    return np.arange(count) if count <= most else np.sort(random.choice(count, most, replace=False))


def _start(
    points: np.ndarray, weights: np.ndarray, num_centres: int, random: np.random.Generator
) -> np.ndarray:
    rows = _sample(weights, _START_POINTS_PER_CENTRE * num_centres, random)
    drawn, seed = points[rows].astype(np.float64), int(random.integers(2**31))  # what it works in
    with threadpool_limits(1):  # its products are small: waiting threads would cost more than they do
        centres, _ = kmeans_plusplus(drawn, num_centres, sample_weight=weights[rows], random_state=seed)
    return centres.astype(np.float32)


def _lloyd(
    points: np.ndarray, weights: np.ndarray, centres: np.ndarray, iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """With momentum but for the last iteration, which leaves centres at the means of their points."""
    nearest_to = nearest_of(points)
    nearest, step = nearest_to(centres), np.zeros_like(centres)
    for left in reversed(range(iterations)):
        moved = means(points, weights, nearest, centres)
        has_points = np.bincount(nearest, minlength=len(centres))[:, None] > 0
        step = has_points * (moved - centres + (_MOMENTUM * step if left else 0.0))
        centres = np.where(has_points, centres + step, moved)
        before, nearest = nearest, nearest_to(centres)
        if np.mean(nearest != before) < _SETTLED:
            break
    return centres, nearest


def means(points: np.ndarray, weights: np.ndarray, nearest: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Weighted means of the points of each centre; a centre without any moves to a far point of its own."""
    count, starts = len(centres), np.arange(len(points) + 1)
    members = sparse.csc_matrix((weights, nearest, starts), shape=(count, len(points)))
    totals = np.bincount(nearest, weights=weights, minlength=count)
    moved = (members @ points) / np.maximum(totals, np.finfo(np.float32).tiny)[:, None]
    if len(empty := np.flatnonzero(totals == 0)):
        far = np.argsort(-squared_gaps(points, centres, nearest) * weights, kind="stable")
        moved[empty] = points[far[: len(empty)]]
    return moved.astype(np.float32)
