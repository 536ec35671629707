"""Warm and cold slices of a world small enough to count."""

from __future__ import annotations

import numpy as np
import pytest

import semid_tf as sid
from semid_tf.evaluation import auc_by_slice

# Items 1 to 4: the third was never met in training.
COUNTS = np.array([5, 1, 0, 9])
CONFIG = sid.EvaluationConfig(bootstrap_samples=30, seed=3)


def splits(candidates: list, labels: list, weights: list) -> sid.Splits:
    """A test period of one example for each of two users."""
    test = sid.Examples(
        users=np.arange(len(labels), dtype=np.int32),
        history=np.zeros((len(labels), 2), np.int32),
        candidates=np.array(candidates, np.int32),
        labels=np.array(labels, np.float32),
        weights=np.array(weights, np.float32),
    )
    empty = test.take(slice(0))
    return sid.Splits(empty, empty, test, COUNTS, boundary=0)


WORLD = splits(
    candidates=[[1, 3, 2, 0], [3, 4, 1, 3]],
    labels=[[1, 0, 0, 0], [1, 0, 0, 0]],
    weights=[[1, 1, 1, 0], [1, 1, 1, 1]],
)
SCORES = np.array([[0.5, 0.9, 0.1, 9.0], [0.8, 0.6, 0.5, 0.2]], np.float32)


def test_by_hand() -> None:
    figures = auc_by_slice(SCORES, WORLD, CONFIG)
    # Positives .5 and .8; negatives .9 .1 .6 .5 .2: .5 beats .1 .2 and half of .5, .8 beats all but .9.
    assert figures["auc"] == pytest.approx((2.5 + 4) / 10)
    # Cold: positive .8 against .9 and .2. Warm: positive .5 against .1, .6 and .5.
    assert figures["auc_cold"] == pytest.approx(0.5)
    assert figures["auc_warm"] == pytest.approx(1.5 / 3)
    assert set(figures) == {
        f"{name}{end}" for name in ("auc", "auc_warm", "auc_cold") for end in ("", "_low", "_high")
    }


def test_what_has_no_weight_does_not_count() -> None:
    changed = SCORES.copy()
    changed[0, 3] = -9
    assert auc_by_slice(changed, WORLD, CONFIG) == pytest.approx(
        auc_by_slice(SCORES, WORLD, CONFIG), nan_ok=True
    )


def test_each_slice_has_the_interval_of_its_own_examples() -> None:
    random = np.random.default_rng(0)
    candidates, labels = random.integers(1, 5, (300, 4)), random.integers(0, 2, (300, 4))
    world = splits(candidates, labels, np.ones((300, 4)))
    scores = (labels + random.normal(size=(300, 4))).astype(np.float32)
    figures = auc_by_slice(scores, world, CONFIG)
    users = np.repeat(np.arange(300), 4).reshape(300, 4)
    for name, chosen in {"auc_cold": candidates == 3, "auc_warm": candidates != 3}.items():
        found = sid.bootstrap_auc(labels[chosen], scores[chosen], users[chosen], 30, 0.95, 3)
        assert [figures[name], figures[f"{name}_low"], figures[f"{name}_high"]] == pytest.approx(list(found))


def test_a_world_without_cold_items_says_so() -> None:
    world = splits([[1, 2]], [[1, 0]], [[1, 1]])
    figures = auc_by_slice(np.array([[1.0, 0.0]]), world, CONFIG)
    assert figures["auc"] == figures["auc_warm"] == 1
    assert np.isnan(figures["auc_cold"])
