"""The quality report over a catalogue, against counting one by one."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import semid_tf as sid

SPACE = sid.CodeSpace(2, 4)
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


def named(count: int) -> np.ndarray:
    """Ids that sort backwards."""
    return np.array([f"item{count - row:03d}" for row in range(count)], object)


def test_by_hand() -> None:
    codes = np.array([[0, 1], [0, 1], [3, 1], [0, 1], [2, 2], [2, 2]], np.int32)
    quality = sid.quality_of(np.array(["f", "b", "c", "a", "e", "d"], object), codes, SPACE)
    assert quality.items == 6
    assert quality.distinct_ids == 3
    assert quality.unique_rate == 0.5
    assert quality.colliding_rate == pytest.approx(5 / 6)
    # Sizes 1, 2, 3: mean difference over all 9 pairs 8 / 9, twice the mean 4.
    assert quality.items_per_id_gini == pytest.approx(8 / 9 / 4)
    assert quality.largest_groups == [
        sid.SharedID("0-1", 3, ["a", "b", "f"]),
        sid.SharedID("2-2", 2, ["d", "e"]),
    ]
    assert quality.codes_used == [3, 2]
    assert quality.code_usage == [0.75, 0.5]
    assert quality.perplexity == sid.perplexity(codes, SPACE)


def test_levels_of_unequal_size() -> None:
    """Each level's share is of its own codes."""
    codes = np.array([[0, 1], [3, 0], [0, 1]])
    quality = sid.quality_of(np.array(["a", "b", "c"], object), codes, sid.CodeSpace(2, (4, 2)))
    assert quality.codes_used == [2, 2]
    assert quality.code_usage == [0.5, 1.0]
    assert quality.perplexity == pytest.approx([3 / 4 ** (1 / 3)] * 2)
    assert quality.unique_rate == pytest.approx(2 / 3)
    with pytest.raises(sid.CodesError, match=r"codes\[1, 1\] is 2; level 1 has codes 0 to 1"):
        sid.quality_of(np.array(["a", "b"], object), np.array([[0, 0], [3, 2]]), sid.CodeSpace(2, (4, 2)))


@given(ROWS)
def test_as_counted_one_by_one(rows: list[tuple[int, int]]) -> None:
    codes, ids = np.array(rows), named(len(rows))
    quality = sid.quality_of(ids, codes, SPACE)
    counts = Counter(rows)
    sizes = list(counts.values())
    assert quality.distinct_ids == len(counts)
    assert quality.unique_rate == sid.unique_rate(codes) == len(counts) / len(rows)
    colliding = sum(counts[row] > 1 for row in rows) / len(rows)
    assert quality.colliding_rate == sid.colliding_rate(codes) == colliding
    differences = np.abs(np.subtract.outer(sizes, sizes)).mean()
    assert quality.items_per_id_gini == pytest.approx(differences / (2 * np.mean(sizes)))
    assert quality.codes_used == [len({row[level] for row in rows}) for level in range(2)]
    expected = sorted(((-size, row) for row, size in counts.items() if size > 1))[:10]
    assert [(-g.size, g.semantic_id) for g in quality.largest_groups] == [
        (size, f"{row[0]}-{row[1]}") for size, row in expected
    ]
    for group in quality.largest_groups:
        members = [i for i, row in zip(ids, rows, strict=True) if f"{row[0]}-{row[1]}" == group.semantic_id]
        assert group.item_ids == sorted(members)[:3]


@given(ROWS, st.integers(0, 2**32))
def test_no_order_of_rows_matters(rows: list[tuple[int, int]], seed: int) -> None:
    codes, ids = np.array(rows), named(len(rows))
    order = np.random.default_rng(seed).permutation(len(rows))
    assert sid.quality_of(ids[order], codes[order], SPACE) == sid.quality_of(ids, codes, SPACE)


def test_it_is_json() -> None:
    quality = sid.quality_of(named(3), np.array([[0, 1], [0, 1], [3, 1]]), SPACE)
    plain = json.loads(json.dumps(quality.plain()))
    assert plain["largest_groups"] == [{"semantic_id": "0-1", "size": 2, "item_ids": ["item002", "item003"]}]
    assert set(plain) == set(sid.Quality._fields)


def test_eight_levels_of_2048_are_counted_exactly() -> None:
    codes = np.random.default_rng(0).integers(2046, 2048, (2000, 8))
    quality = sid.quality_of(named(2000), codes, sid.CodeSpace(8, 2048))
    assert quality.distinct_ids == len(np.unique(codes, axis=0)) == len(sid.items_per_id(codes))


def test_gini_has_fixed_points() -> None:
    assert sid.gini(np.array([3, 3, 3])) == 0
    assert sid.gini(np.array([0, 0, 0, 8])) == 0.75


def test_what_is_refused() -> None:
    message = "2 item_ids meet 1 rows of codes; both must agree, and be at least 1."
    with pytest.raises(sid.DataError, match=f"^{re.escape(message)}$"):
        sid.quality_of(named(2), np.zeros((1, 2), int), SPACE)
    with pytest.raises(sid.DataError, match="0 item_ids meet 0 rows"):
        sid.quality_of(named(0), np.zeros((0, 2), int), SPACE)
    with pytest.raises(sid.CodesError, match=r"codes\[0, 1\] is 4; level 1 has codes 0 to 3"):
        sid.quality_of(named(1), np.array([[0, 4]]), SPACE)
