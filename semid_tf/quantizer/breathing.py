"""Breathing k-means: centres come where much is left, and as many go where they are missed least."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from semid_tf.quantizer.nearest import squared_gaps, two_nearest_of

#: Cycles that bring most of what there is to gain.
CYCLES = 5
_FIRST_PART, _ITERATIONS, _WORTH_IT = 8, 2, 0.999
_OFFSET = 0.05

Lloyd = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def breathe(
    points: np.ndarray,
    weights: np.ndarray,
    centres: np.ndarray,
    nearest: np.ndarray,
    lloyd: Lloyd,
    cycles: int,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Moves centres to other places, which Lloyd's algorithm cannot (Fritzke 2020, arXiv 2006.15666).

    Where points lie in clusters, some centres end between two of them and others share one. In each cycle
    the centres that leave the most get a twin, first one in eight, then fewer; after two Lloyd iterations as
    many go without which the least more would be left. Where the first cycle gains less than .1 % there are
    no such clusters, and all stay.

    Args:
        points: float32 [n, dim].
        weights: float32 [n], positive.
        centres: float32 [num_centres, dim], after Lloyd's algorithm.
        nearest: int32 [n], the nearest centre of each point.
        lloyd: so many iterations from some centres; gives these and the nearest of each point.
        cycles: at most so many.
        random: where twins stand.

    Returns:
        Centres and the nearest of each point, of less squared error or those that came.
    """
    two_nearest = two_nearest_of(points)
    gaps = weights * squared_gaps(points, centres, nearest)
    for turn in range(cycles):
        count = max(len(centres) * (cycles - turn) // (cycles * _FIRST_PART), 1)
        if len(centres) + count > len(points):
            break
        more, _ = lloyd(_with_twins(centres, nearest, gaps, count, random), _ITERATIONS)
        first, second = two_nearest(more).T
        missed = weights * (squared_gaps(points, more, second) - squared_gaps(points, more, first))
        least = np.argsort(np.bincount(first, weights=missed, minlength=len(more)), kind="stable")[:count]
        fewer, of_fewer = lloyd(np.delete(more, least, axis=0), _ITERATIONS)
        left = weights * squared_gaps(points, fewer, of_fewer)
        if not turn and left.sum() > _WORTH_IT * gaps.sum():
            break
        if left.sum() < gaps.sum():
            centres, nearest, gaps = fewer, of_fewer, left
    return centres, nearest


def _with_twins(
    centres: np.ndarray, nearest: np.ndarray, gaps: np.ndarray, count: int, random: np.random.Generator
) -> np.ndarray:
    """The centres, and near by a twin of each of those that leave the most."""
    left = np.bincount(nearest, weights=gaps, minlength=len(centres))
    most = np.argsort(-left, kind="stable")[:count]
    aside = _OFFSET * np.sqrt(gaps.mean() / centres.shape[1])
    twins = centres[most] + aside * random.standard_normal((count, centres.shape[1]))
    return np.concatenate([centres, twins.astype(np.float32)])
