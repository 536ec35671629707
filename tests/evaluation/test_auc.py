"""AUC against scikit-learn, and the laws of its interval."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

import semid_tf as sid


@st.composite
def examples(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores with many ties, weights with zeros."""
    rows = st.tuples(st.integers(0, 1), st.integers(-3, 3), st.sampled_from([0.0, 0.5, 1.0, 3.0]))
    labels, scores, weights = zip(*draw(st.lists(rows, min_size=2, max_size=40)), strict=True)
    return np.array(labels, np.float32), np.array(scores, np.float32), np.array(weights)


@given(examples())
def test_it_is_that_of_scikit_learn(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    labels, scores, weights = drawn
    assume(0 < (labels * weights).sum() < weights.sum())
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert sid.auc(labels, scores, weights) == pytest.approx(expected)


@given(examples())
def test_without_weights_all_count_alike(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    labels, scores, _ = drawn
    assume(0 < labels.sum() < len(labels))
    assert sid.auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


@given(examples())
def test_turning_the_scores_turns_the_auc(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    labels, scores, weights = drawn
    assume(0 < (labels * weights).sum() < weights.sum())
    assert sid.auc(labels, -scores, weights) == pytest.approx(1 - sid.auc(labels, scores, weights))


@pytest.mark.parametrize("labels", [[], [1], [0, 0], [1, 1, 1]])
def test_without_both_labels_there_is_none(labels: list[int]) -> None:
    assert math.isnan(sid.auc(np.array(labels), np.arange(float(len(labels)))))


def population(num_users: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores and users: ten examples of each, shifted by something of the user's own."""
    random = np.random.default_rng(seed)
    users = np.repeat(np.arange(num_users), 10)
    labels = random.integers(0, 2, len(users))
    taste = random.normal(size=num_users)[users]
    return labels, labels * (0.7 + taste) + random.normal(size=len(users)), users


def interval(
    data: tuple[np.ndarray, ...], samples: int = 100, confidence: float = 0.95, seed: int = 0
) -> sid.Interval:
    """The interval of a population."""
    return sid.bootstrap_auc(*data, samples, confidence, seed)


def test_an_interval_holds_its_value_and_is_that_of_its_seed() -> None:
    data = population(100)
    found = interval(data)
    assert found.value == pytest.approx(roc_auc_score(data[0], data[1]))
    assert found.low < found.value < found.high
    assert interval(data) == found
    other = interval(data, seed=1)
    assert other.value == found.value
    assert other.low != found.low


def test_an_interval_narrows_with_more_users_and_less_confidence() -> None:
    widths = [interval(population(users)) for users in (50, 200, 800)]
    ratios = [(a.high - a.low) / (b.high - b.low) for a, b in itertools.pairwise(widths)]
    # Four times the users, half the width.
    assert all(1.5 < ratio < 2.7 for ratio in ratios)
    wide, narrow = (interval(population(200), confidence=c) for c in (0.95, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_users_are_drawn_whole() -> None:
    """Examples copied within their user tell nothing new: the interval stays."""
    labels, scores, users = population(60)
    copied = interval((np.tile(labels, 5), np.tile(scores, 5), np.tile(users, 5)))
    assert copied == pytest.approx(interval((labels, scores, users)))
    as_strangers = interval((np.tile(labels, 5), np.tile(scores, 5), np.arange(3_000)))
    assert as_strangers.high - as_strangers.low < 0.7 * (copied.high - copied.low)


def test_the_names_of_users_do_not_matter() -> None:
    labels, scores, users = population(40)
    assert interval((labels, scores, users)) == interval((labels, scores, users * 1000 + 7))


def test_about_nine_in_ten_intervals_hold_the_truth() -> None:
    truth = interval(population(20_000, seed=99), samples=1).value
    found = [interval(population(120, seed), samples=100, confidence=0.9) for seed in range(100)]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.8 <= covered <= 0.98


def test_a_slice_without_both_labels_has_no_interval() -> None:
    found = interval((np.ones(5), np.arange(5.0), np.arange(5)))
    assert all(math.isnan(value) for value in found)
    nothing = interval((np.zeros(0), np.zeros(0), np.zeros(0, int)))
    assert all(math.isnan(value) for value in nothing)
