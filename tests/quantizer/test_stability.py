"""How alike two quantizers group the same items."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import semid_tf as sid


def by_pairs(codes: np.ndarray, other: np.ndarray, length: int) -> float:
    """The adjusted Rand index from every pair of items: together in both, against what chance gives."""
    pairs = list(itertools.combinations(range(len(codes)), 2))
    ours = np.array([(codes[i, :length] == codes[j, :length]).all() for i, j in pairs])
    theirs = np.array([(other[i, :length] == other[j, :length]).all() for i, j in pairs])
    chance = ours.sum() * theirs.sum() / len(pairs)
    most = (ours.sum() + theirs.sum()) / 2
    return 1.0 if most == chance else float(((ours & theirs).sum() - chance) / (most - chance))


@given(st.integers(0, 2**32), st.integers(2, 25), st.integers(1, 4))
def test_as_counted_over_pairs(seed: int, items: int, size: int) -> None:
    codes, other = np.random.default_rng(seed).integers(0, size, (2, items, 3))
    expected = [by_pairs(codes, other, length) for length in (1, 2, 3)]
    assert sid.prefix_stability(codes, other) == pytest.approx(expected)


@given(st.integers(0, 2**32))
def test_renamed_codes_and_other_rows_change_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    codes, other = random.integers(0, 4, (2, 30, 2))
    names, rows = random.permutation(4), random.permutation(30)
    found = sid.prefix_stability(codes, other)
    assert sid.prefix_stability(names[codes], other) == pytest.approx(found)
    assert sid.prefix_stability(codes[rows], other[rows]) == pytest.approx(found)
    assert sid.prefix_stability(other, codes) == pytest.approx(found)
    assert sid.prefix_stability(names[codes], codes) == [1.0, 1.0]


def test_random_codes_agree_as_chance_has_it() -> None:
    codes, other = np.random.default_rng(0).integers(0, 8, (2, 20_000, 2))
    assert sid.prefix_stability(codes, other) == pytest.approx([0, 0], abs=1e-3)


def test_shapes_must_agree() -> None:
    with pytest.raises(sid.DataError, match=r"codes have shapes \[2, 2\] and \[3, 2\]; both must be"):
        sid.prefix_stability(np.zeros((2, 2), int), np.zeros((3, 2), int))
