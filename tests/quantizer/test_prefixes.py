"""What items with a common prefix have in common, against all pairs one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import semid_tf as sid
from semid_tf.quantizer import prefixes


def pair_by_pair(embeddings: np.ndarray, codes: np.ndarray) -> list[float]:
    """Mean cosine over pairs that share a prefix, by looking at every pair."""
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    means = []
    for length in range(1, codes.shape[1] + 1):
        cosines = [
            float(units[i] @ units[j])
            for i, j in itertools.combinations(range(len(codes)), 2)
            if (codes[i, :length] == codes[j, :length]).all()
        ]
        means.append(sum(cosines) / len(cosines) if cosines else math.nan)
    return means


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 3), st.integers(1, 50))
def test_as_pair_by_pair(seed: int, items: int, size: int, chunk: int) -> None:
    random = np.random.default_rng(seed)
    embeddings = random.normal(size=(items, 4)) + 0.5
    codes = random.integers(0, size, (items, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefixes, "_CHUNK", chunk)
        found = sid.prefix_cosines(embeddings, codes)
    assert found == pytest.approx(pair_by_pair(embeddings, codes), nan_ok=True, abs=1e-9)


def test_by_hand() -> None:
    """Pairs under 1: a right angle, twice 45 degrees; under 1-1: one of 45 degrees."""
    embeddings = np.array([[1.0, 0], [0, 5], [2, 2], [-1, 0]], np.float32)
    codes = np.array([[1, 1], [1, 2], [1, 1], [0, 0]])
    half = math.sqrt(0.5)
    assert sid.prefix_cosines(embeddings, codes) == pytest.approx([2 * half / 3, half])


def test_the_longer_the_prefix_the_closer(fitted_codes: np.ndarray, catalogue_items: sid.Items) -> None:
    cosines = sid.prefix_cosines(catalogue_items.embeddings, fitted_codes)
    assert cosines == sorted(cosines)
    assert cosines[0] < cosines[-1]


def test_embeddings_without_a_direction_are_refused() -> None:
    codes = np.zeros((2, 1), int)
    with pytest.raises(sid.DataError, match=r"embeddings\[1\] has norm 0.0; a cosine needs it finite"):
        sid.prefix_cosines(np.array([[1.0], [0.0]]), codes)
    with pytest.raises(sid.DataError, match=r"embeddings\[0\] has norm nan"):
        sid.prefix_cosines(np.array([[np.nan], [0.0]]), codes)
    with pytest.raises(sid.DataError, match="3 embeddings meet 2 rows of codes"):
        sid.prefix_cosines(np.ones((3, 1)), codes)


def test_subtrie_sizes_by_hand() -> None:
    """Five items under 0, one under 1, two under 2, three under 3."""
    codes = np.repeat([[0, 0], [1, 0], [2, 0], [3, 0], [3, 1]], [5, 1, 2, 1, 2], axis=0)
    found = sid.subtrie_sizes(codes[::-1])
    assert found.tolist() == [[1.75, 2.5, 3.5], [1, 2, 2]]


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=40))
def test_subtrie_sizes_as_counted(rows: list[tuple[int, ...]]) -> None:
    counted = [
        np.quantile([sum(r[:n] == p for r in rows) for p in {r[:n] for r in rows}], [0.25, 0.5, 0.75])
        for n in (1, 2, 3)
    ]
    np.testing.assert_allclose(sid.subtrie_sizes(np.array(rows)), counted)
