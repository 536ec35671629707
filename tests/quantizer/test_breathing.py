"""Centres move where Lloyd's algorithm cannot bring them, and only there."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from semid_tf.quantizer.breathing import CYCLES, breathe
from semid_tf.quantizer.kmeans import _lloyd
from semid_tf.quantizer.nearest import squared_gaps, two_nearest_of

CLUSTERS, EACH, DIM = 40, 30, 6


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    """Tight clusters of equal size, far apart."""
    random = np.random.default_rng(0)
    middles = np.repeat(random.normal(size=(CLUSTERS, DIM)), EACH, axis=0)
    return (middles + 0.01 * random.normal(size=middles.shape)).astype(np.float32)


def breathed(points: np.ndarray, weights: np.ndarray, centres: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Error of Lloyd's algorithm from some centres, error after breathing, and the centres then."""
    lloyd = partial(_lloyd, points, weights)
    settled, nearest = lloyd(centres, 25)
    before = float((weights * squared_gaps(points, settled, nearest)).sum())
    random = np.random.default_rng(1)
    found, nearest = breathe(points, weights, settled, nearest, lloyd, CYCLES, random)
    assert found.shape == centres.shape and found.dtype == np.float32
    np.testing.assert_array_equal(nearest, two_nearest_of(points)(found)[:, 0])
    return before, float((weights * squared_gaps(points, found, nearest)).sum()), found


def test_centres_that_share_a_cluster_go_to_clusters_without_one(points: np.ndarray) -> None:
    """Ten clusters hold two centres each, ten others none; each centre of these has a weight of its own."""
    of_start = np.r_[0:30, 0:10] * EACH + np.r_[np.zeros(30, int), np.full(10, 7)]
    before, after, found = breathed(points, np.ones(len(points), np.float32), points[of_start])
    assert after < 0.01 * before
    near = np.square(points[::EACH, None] - found).sum(axis=2).argmin(axis=1)
    assert len(np.unique(near)) == CLUSTERS


def test_weights_say_where_centres_are_missed(points: np.ndarray) -> None:
    """One centre too few: the cluster that weighs next to nothing goes without."""
    weights = np.ones(len(points), np.float32)
    weights[:EACH] = 1e-4
    _, _, found = breathed(points, weights, points[: (CLUSTERS - 1) * EACH : EACH])
    gaps = np.square(points[::EACH, None] - found).sum(axis=2).min(axis=1)
    assert gaps.argmax() == 0 and gaps[1:].max() < 0.01


def test_points_without_clusters_keep_their_centres() -> None:
    points = np.random.default_rng(2).normal(size=(2000, DIM)).astype(np.float32)
    weights = np.ones(2000, np.float32)
    lloyd = partial(_lloyd, points, weights)
    settled, nearest = lloyd(points[:50], 50)
    found, of_found = breathe(points, weights, settled, nearest, lloyd, CYCLES, np.random.default_rng(0))
    before, after = (squared_gaps(points, *pair).sum() for pair in ((settled, nearest), (found, of_found)))
    assert 0.97 * before < after <= before


@pytest.mark.parametrize("num_points", [8, 9])
def test_hardly_more_points_than_centres_are_left_alone(num_points: int) -> None:
    """Nor is anything divided by the nothing that equal points leave."""
    points = np.ones((num_points, DIM), np.float32)
    before, after, _ = breathed(points, np.ones(num_points, np.float32), points[:8])
    assert before == after == 0


def test_the_two_nearest_are_in_order() -> None:
    points = np.random.default_rng(3).normal(size=(50, DIM)).astype(np.float32)
    centres = np.random.default_rng(4).normal(size=(7, DIM)).astype(np.float32)
    gaps = np.square(points[:, None] - centres).sum(axis=2)
    np.testing.assert_array_equal(two_nearest_of(points)(centres), np.argsort(gaps, axis=1)[:, :2])
