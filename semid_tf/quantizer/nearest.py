"""The nearest of some centres to each of many points."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from semid_tf.quantizer.chunks import in_blocks
from semid_tf.quantizer.distances import append_one, fold_codebook, highest, several_highest

_CHUNK = 8192


def nearest_of(points: np.ndarray) -> Callable[..., np.ndarray]:
    """A function that gives the nearest of some centres to each point, at given prices or none: int32 [n]."""
    ranked = _ranked(points, 1)
    return lambda centres, prices=None: ranked(centres, prices)[:, 0]


def two_nearest_of(points: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function that gives the two nearest of at least two centres to each point: int32 [n, 2]."""
    return _ranked(points, 2)


def squared_gaps(points: np.ndarray, centres: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Squared distance of each point to its centre, float32 [n]."""
    return np.square(points - centres[nearest]).sum(axis=1)


def _ranked(points: np.ndarray, k: int) -> Callable[..., np.ndarray]:
    with_one = append_one(tf.constant(points))
    starts = [tf.constant(start) for start in range(0, len(points), _CHUNK)]

    def ranked(centres: np.ndarray, prices: np.ndarray | None = None) -> np.ndarray:
        folded = fold_codebook(tf.constant(centres), None if prices is None else tf.constant(prices))
        in_chunk = _ranked_among(len(centres), k)
        return np.concatenate([in_chunk(with_one, start, folded).numpy() for start in starts])

    return ranked


@functools.cache
def _ranked_among(count: int, k: int) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """For so many centres: one for all numbers would forget them when they change, and search as for any."""

    @functools.partial(tf.function, reduce_retracing=True, autograph=False)
    def ranked(with_one: tf.Tensor, start: tf.Tensor, folded: tf.Tensor) -> tf.Tensor:
        folded = tf.ensure_shape(folded, (None, count))

        def of_block(block: tf.Tensor) -> tf.Tensor:
            scores = tf.matmul(block, folded)
            return highest(scores)[:, None] if k == 1 else several_highest(scores, k).places

        return in_blocks(of_block, with_one[start : start + _CHUNK], count, k)

    return ranked
