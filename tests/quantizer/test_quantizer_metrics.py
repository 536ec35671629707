"""Figures over a catalogue, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import semid_tf as sid

SPACE = sid.CodeSpace(2, 4)
CODES = np.array([[0, 1], [0, 1], [0, 2], [3, 1]], np.int32)


def test_normalized_mse_by_hand() -> None:
    embeddings = np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 3.0]])
    restored = np.array([[1.0, 0.0], [2.0, 0.0], [4.0, 1.0]])
    # Errors 1, 0, 4; mean (2, 1); squared distances to it 5, 1, 8.
    assert sid.normalized_mse(embeddings, restored) == pytest.approx(5 / 14)
    # Weights 1, 0, 3: errors (1 + 12) / 4; mean (3, 2.25); distances (14.0625 + 3 * 1.5625) / 4.
    weighted = sid.normalized_mse(embeddings, restored, np.array([1.0, 0.0, 3.0]))
    assert weighted == pytest.approx(13 / (14.0625 + 4.6875))


def test_normalized_mse_has_fixed_points() -> None:
    embeddings = np.random.default_rng(0).normal(size=(20, 3))
    weights = np.random.default_rng(1).uniform(size=20)
    mean = np.tile(np.average(embeddings, axis=0, weights=weights), (20, 1))
    assert sid.normalized_mse(embeddings, embeddings, weights) == 0
    assert sid.normalized_mse(embeddings, mean, weights) == pytest.approx(1)
    assert math.isnan(sid.normalized_mse(np.ones((3, 2)), np.zeros((3, 2))))


@given(st.lists(st.integers(1, 5), min_size=6, max_size=6))
def test_a_weight_counts_like_copies(weights: list[int]) -> None:
    random = np.random.default_rng(0)
    embeddings, restored = random.normal(size=(2, 6, 3))
    copies = sid.normalized_mse(np.repeat(embeddings, weights, axis=0), np.repeat(restored, weights, axis=0))
    assert sid.normalized_mse(embeddings, restored, np.array(weights)) == pytest.approx(copies)


def test_code_figures_by_hand() -> None:
    assert sid.code_counts(CODES, SPACE).tolist() == [[3, 0, 0, 1], [0, 3, 1, 0]]
    assert sid.code_usage(CODES, SPACE) == [0.5, 0.5]
    assert sid.unique_rate(CODES) == 0.75
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert sid.perplexity(CODES, SPACE) == pytest.approx([math.exp(entropy)] * 2)


def test_code_figures_of_unequal_levels_count_each_levels_own_codes() -> None:
    space = sid.CodeSpace(2, (4, 2))
    codes = np.array([[0, 1], [3, 0], [0, 1]])
    assert sid.code_counts(codes, space).tolist() == [[2, 0, 0, 1], [1, 2, 0, 0]]
    assert sid.code_usage(codes, space) == [0.5, 1.0]
    assert sid.perplexity(codes, space)[0] == pytest.approx(sid.perplexity(codes, space)[1])


def test_perplexity_of_one_code_and_of_all_alike() -> None:
    assert sid.perplexity(np.zeros((9, 2), int), SPACE) == pytest.approx([1, 1])
    every = np.stack([np.arange(4), np.arange(4)], axis=1)
    assert sid.perplexity(every, SPACE) == pytest.approx([4, 4])
