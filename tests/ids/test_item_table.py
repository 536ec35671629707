"""The item table: ids to indices, each item once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import semid_tf as sid

SPACE = sid.CodeSpace(2, 8)


def table_of(names: list[str]) -> sid.ItemTable:
    """A table of these items, all with the same codes."""
    return sid.ItemTable(np.array(names, object), np.zeros((len(names), 2), np.int32), SPACE)


@given(st.lists(st.text(max_size=4), unique=True), st.lists(st.text(max_size=4)))
def test_an_index_is_the_row_plus_one_and_0_for_strangers(names: list[str], strangers: list[str]) -> None:
    table = table_of(names)
    assert len(table) == len(names)
    assert table.index_of(names).tolist() == list(range(1, len(names) + 1))
    wanted = strangers + names
    expected = [names.index(name) + 1 if name in names else 0 for name in wanted]
    found = table.index_of(wanted)
    assert found.dtype == np.int32
    assert found.tolist() == expected


def test_arrays_of_strings_are_looked_up_as_well() -> None:
    table = table_of(["a", "Käse"])
    assert table.index_of(np.array(["Käse", "x", "a"])).tolist() == [2, 0, 1]
    assert table.index_of(np.array(["Käse", "x", "a"], object)).tolist() == [2, 0, 1]


def test_an_id_twice_is_refused() -> None:
    with pytest.raises(sid.DataError, match="item_ids must be unique; one of them occurs twice"):
        table_of(["a", "b", "a"])


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(sid.DataError, match="3 item_ids meet 2 rows of codes; both must agree"):
        sid.ItemTable(np.array(["a", "b", "c"], object), np.zeros((2, 2), np.int32), SPACE)


def test_codes_out_of_range_are_refused() -> None:
    with pytest.raises(sid.CodesError, match=r"codes\[0, 1\] is 8; level 1 has codes 0 to 7"):
        sid.ItemTable(np.array(["a"], object), np.array([[0, 8]]), SPACE)
