"""Weighted k-means by matrix products."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from scipy import sparse
from sklearn.cluster import kmeans_plusplus
from threadpoolctl import threadpool_limits

from semid_tf.quantizer.chunks import in_blocks
from semid_tf.quantizer.distances import append_one, fold_codebook, highest

_CHUNK = 8192
_START_POINTS_PER_CENTRE = 16
_SAMPLE_PER_CENTRE = 64
_SETTLED = 1e-4
_FIRST_DIM = 4


def weighted_kmeans(
    points: np.ndarray, weights: np.ndarray, num_centres: int, iterations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lloyd's algorithm in few dimensions first, then in more; a centre without points moves to a far point.

    Starts from k-means++ on 16 points a centre along their 4 principal axes of largest variance. Each stage
    doubles the dimensions (FAISS calls this progressive dimensions); those below the last are run on
    64 points a centre. An iteration costs points * num_centres * dimensions multiplications. A stage ends
    early when fewer than one point in 10,000 changes its centre.

    Args:
        points: float32 [n, dim]; n at least num_centres.
        weights: float32 [n], positive.
        num_centres: of the result.
        iterations: at most so many a stage.
        seed: fixes the start.

    Returns:
        Centres float32 [num_centres, dim], and the nearest centre of each point, int32 [n].
    """
    random = np.random.default_rng(seed)
    sample = _sample(weights, _SAMPLE_PER_CENTRE * num_centres, random)
    axes = _axes(points[sample], weights[sample])
    turned, of_turned = points[sample] @ axes, weights[sample]
    stages = _stages(points.shape[1])
    centres = _start(turned[:, : stages[0]], of_turned, num_centres, random)
    for dim in stages if len(sample) < len(points) else stages[:-1]:
        centres = np.pad(centres, ((0, 0), (0, dim - centres.shape[1])))
        centres, _ = _lloyd(np.ascontiguousarray(turned[:, :dim]), of_turned, centres, iterations)
    centres = centres @ axes[:, : centres.shape[1]].T
    return _lloyd(points, weights, centres, iterations)


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
    nearest_to = nearest_of(points)
    nearest = nearest_to(centres)
    for _ in range(iterations):
        centres = means(points, weights, nearest, centres)
        before, nearest = nearest, nearest_to(centres)
        if np.mean(nearest != before) < _SETTLED:
            break
    return centres, nearest


def nearest_of(points: np.ndarray) -> Callable[..., np.ndarray]:
    """A function that gives the nearest of some centres to each point, at given prices or none: int32 [n]."""
    with_one = append_one(tf.constant(points))
    starts = [tf.constant(start) for start in range(0, len(points), _CHUNK)]

    def nearest(centres: np.ndarray, prices: np.ndarray | None = None) -> np.ndarray:
        folded = fold_codebook(tf.constant(centres), None if prices is None else tf.constant(prices))
        nearest_in_chunk = _nearest_among(len(centres))
        return np.concatenate([nearest_in_chunk(with_one, start, folded).numpy() for start in starts])

    return nearest


@functools.cache
def _nearest_among(count: int) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """For so many centres: one for all numbers would forget them when they change, and search as for any."""

    @functools.partial(tf.function, reduce_retracing=True, autograph=False)
    def nearest(with_one: tf.Tensor, start: tf.Tensor, folded: tf.Tensor) -> tf.Tensor:
        folded = tf.ensure_shape(folded, (None, count))
        rows = with_one[start : start + _CHUNK]
        return in_blocks(lambda block: highest(tf.matmul(block, folded))[:, None], rows, count, 1)[:, 0]

    return nearest


def squared_gaps(points: np.ndarray, centres: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Squared distance of each point to its centre, float32 [n]."""
    return np.square(points - centres[nearest]).sum(axis=1)


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
