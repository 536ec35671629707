"""A level whose codewords are a grid: finite scalar quantization (Mentzer et al. 2023, arXiv 2309.15505)."""

from __future__ import annotations

import itertools

import numpy as np

from semid_tf.errors import ConfigError
from semid_tf.quantizer.initialization import principal_axes
from semid_tf.quantizer.levels import Clustering, Clusters
from semid_tf.quantizer.nearest import nearest_of

_WIDTHS = np.linspace(0.05, 4.0, 80)


def fsq_clusters(sizes: tuple[int, ...]) -> Clustering:
    """A grid over the axes of largest variance, as QARM V2 (arXiv 2602.08559) has it on the last level.

    Axis i has sizes[i] equidistant steps, bounded by the first and the last; the first axis is that of the
    largest variance. The grid's points are the codewords, so that the nearest of them is each axis rounded
    to its nearest step, and the level is searched like any other. Code = place in the grid, the last axis
    running fastest. The distance of the steps is, of 80, that of the least squared error.
    """

    def cluster(points: np.ndarray, weights: np.ndarray, size: int, seed: int) -> Clusters:
        if len(sizes) > points.shape[1]:
            raise ConfigError(
                f"fsq_sizes names {len(sizes)} axes of {points.shape[1]} dimensions; name no more."
            )
        mean = np.average(points, axis=0, weights=weights).astype(np.float32)
        axes = principal_axes(points - mean, weights).first(len(sizes))
        places = (points - mean) @ axes
        steps = [axis_steps(places[:, axis], weights, count) for axis, count in enumerate(sizes)]
        grid = np.array(list(itertools.product(*steps)), np.float32)
        centres = mean + grid @ axes.T
        return Clusters(centres, nearest_of(points)(centres), np.zeros(size, np.float32))

    return cluster


def axis_steps(values: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Equidistant steps around zero that round values, float32 [n], best: float64 [count]."""
    ladder = np.arange(count) - (count - 1) / 2
    spread = float(np.sqrt(np.average(np.square(values), weights=weights)))
    candidates = [width * spread * ladder for width in _WIDTHS]
    return min(
        candidates, key=lambda steps: float(np.average(_rounding_error(values, steps), weights=weights))
    )


def _rounding_error(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    between = (steps[1:] + steps[:-1]) / 2
    return np.square(values - steps[np.searchsorted(between, values)])
