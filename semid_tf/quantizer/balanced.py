"""Clusters alike in size: every cluster has a price, and crowded ones grow dearer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from semid_tf.quantizer.kmeans import means, weighted_kmeans
from semid_tf.quantizer.levels import Clustering, Clusters
from semid_tf.quantizer.nearest import nearest_of, squared_gaps

_MOVES = 4
_ROUNDS = 60
_EVEN_ENOUGH = 0.03
_FIRST_STEP = 0.05


def balanced_clusters(iterations: int) -> Clustering:
    """K-means whose clusters weigh alike but for a few per cent.

    A point belongs to the centre of least ||x - e||^2 / 2 + price. With prices that fill all clusters alike
    this is the best balanced clustering for given centres (power diagrams: Aurenhammer, Hoffmann and Aronov
    1998), and new items are coded by the same rule at no cost. After plain k-means, prices and centres are
    found in turn, four times. Costs up to 240 iterations of k-means. The squared error grows; a code no
    longer names the nearest codeword. Points that are equal stay together, so that a crowd of them, or an
    item that weighs more than a cluster should, stands out.
    """

    def cluster(points: np.ndarray, weights: np.ndarray, size: int, seed: int) -> Clusters:
        centres, nearest = weighted_kmeans(points, weights, size, iterations, seed)
        nearest_to, prices = nearest_of(points), np.zeros(size, np.float32)
        scale = _FIRST_STEP * 0.5 * float(np.average(squared_gaps(points, centres, nearest), weights=weights))
        found = _priced(nearest_to, weights, centres, prices, scale)
        for _ in range(_MOVES - 1):
            centres = means(points, weights, found.nearest, found.centres)
            found = _priced(nearest_to, weights, centres, found.prices, scale)
        return found

    return cluster


def _priced(
    nearest_to: Callable[..., np.ndarray],
    weights: np.ndarray,
    centres: np.ndarray,
    prices: np.ndarray,
    first_step: float,
) -> Clusters:
    """Prices that make clusters even, each by steps of its own: longer while it goes on one way, half as long
    when it turns (resilient propagation, Riedmiller and Braun 1993)."""
    steps, before = np.full(len(centres), first_step, np.float32), np.zeros(len(centres))
    best = now = Clusters(centres, nearest_to(centres, prices), prices)
    for _ in range(_ROUNDS):
        excess = _excess(now, weights)
        if np.abs(excess).max() < _EVEN_ENOUGH:
            return now
        wanted = np.clip(5 * excess, -1, 1)
        steps = np.where(before * wanted < 0, 0.5 * steps, 1.15 * steps).astype(np.float32)
        before, prices = wanted, (now.prices + steps * wanted).astype(np.float32)
        now = Clusters(centres, nearest_to(centres, prices), prices)
        best = min(best, now, key=lambda clusters: unevenness(clusters, weights))
    return best


def _excess(clusters: Clusters, weights: np.ndarray) -> np.ndarray:
    totals = np.bincount(clusters.nearest, weights=weights, minlength=len(clusters.centres))
    return totals / totals.mean() - 1


def unevenness(clusters: Clusters, weights: np.ndarray) -> float:
    """Largest deviation of a cluster's weight from the mean, in units of the mean."""
    return float(np.abs(_excess(clusters, weights)).max())
