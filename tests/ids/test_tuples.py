"""Tuples of codes as numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semid_tf.ids import places_in_runs, tuple_numbers

ROWS = st.integers(1, 6).flatmap(
    lambda width: st.lists(st.lists(st.integers(0, 3), min_size=width, max_size=width), min_size=1)
)


@given(ROWS, st.sampled_from([1, 2**31 - 1, 2**29 + 7]))
def test_numbers_are_equal_and_ordered_as_the_rows(rows: list[list[int]], stretch: int) -> None:
    """Codes stretched to 31 bits a level do not fit 63 bits together."""
    codes = np.array(rows, np.int64) * (stretch // 3 if stretch > 1 else 1)
    numbers = tuple_numbers(codes.astype(np.int32))
    assert numbers.dtype == np.int64
    order = np.argsort(numbers, kind="stable")
    assert codes[order].tolist() == sorted(codes.tolist())
    assert len(set(numbers.tolist())) == len({tuple(row) for row in rows})


def test_eight_levels_of_2048_do_not_wrap() -> None:
    """In 64 bits the first two levels of 88 bits would be lost."""
    codes = np.zeros((3, 8), np.int32)
    codes[1, 0], codes[2, 1] = 2047, 2047
    codes[:, 2:] = 2047
    assert len(set(tuple_numbers(codes).tolist())) == 3


def test_no_rows() -> None:
    assert tuple_numbers(np.zeros((0, 3), np.int32)).shape == (0,)
    assert places_in_runs(np.zeros(0, int)).shape == (0,)


@given(st.lists(st.integers(0, 3)))
def test_places_in_runs(values: list[int]) -> None:
    values = sorted(values)
    assert places_in_runs(np.array(values, int)).tolist() == [
        values[:row].count(value) for row, value in enumerate(values)
    ]


@pytest.mark.parametrize("rows", [[[0, 5]], [[7, 7], [7, 7]]])
def test_single_groups(rows: list[list[int]]) -> None:
    assert len(set(tuple_numbers(np.array(rows)).tolist())) == 1
