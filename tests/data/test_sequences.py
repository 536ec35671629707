"""Sequences: order, ties, leave-one-out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import semid_tf as sid

ITEMS = np.array(["a", "b", "c", "d"], object)


def events(rows: list[tuple[str, str, int]], **more: list[int]) -> sid.Interactions:
    """Interactions of (user, item, time)."""
    users, items, times = zip(*rows, strict=True)
    columns = {"user_id": users, "item_id": items, "timestamp": pa.array(times, pa.int64())}
    return sid.interactions_from_table(pa.table(columns | more))


def of(sequences: sid.Sequences) -> list[list[int]]:
    return [part.tolist() for part in np.split(sequences.items, sequences.starts[1:-1])]


def test_out_of_order_times_are_sorted_and_ties_keep_the_order_of_the_table() -> None:
    table = events([("u", "d", 9), ("v", "a", 1), ("u", "b", 5), ("u", "c", 5), ("u", "a", 1)])
    assert of(sid.user_sequences(ITEMS, table)) == [[1, 2, 3, 4], [1]]


def test_ties_are_ordered_by_position_where_there_is_one() -> None:
    table = events([("u", "a", 5), ("u", "b", 5), ("u", "c", 1)], position=[2, 1, 9])
    assert of(sid.user_sequences(ITEMS, table)) == [[3, 2, 1]]


def test_leave_one_out_holds_out_the_last_two_events_of_users_with_three() -> None:
    rows = [("u", item, time) for time, item in enumerate("abcd")]
    rows += [
        ("short", "a", 1),
        ("short", "b", 2),
        ("one", "c", 1),
        ("w", "b", 1),
        ("w", "a", 2),
        ("w", "d", 3),
    ]
    split = sid.leave_one_out(sid.user_sequences(ITEMS, events(rows)))
    assert of(split.train) == [[1, 2], [1, 2], [3], [2]]
    assert split.validation.users.tolist() == split.test.users.tolist() == [0, 3]
    assert split.validation.items.tolist() == [3, 1]
    assert split.test.items.tolist() == [4, 4]
    assert of(split.test.histories) == [[1, 2, 3], [1, 2], [3], [2, 1]]


def test_last_events_are_padded_on_the_left() -> None:
    sequences = sid.Sequences(np.array([4, 3, 2, 1], np.int32), np.array([0, 3, 3, 4]))
    assert sequences.last(np.array([0, 1, 2]), 2).tolist() == [[3, 2], [0, 0], [0, 1]]
    assert sequences.last(np.array([0]), 5).tolist() == [[0, 0, 4, 3, 2]]


def test_keeping_drops_events_but_no_users() -> None:
    sequences = sid.Sequences(np.array([4, 3, 2, 1], np.int32), np.array([0, 3, 3, 4]))
    assert of(sequences.keeping(sequences.items < 4)) == [[3, 2], [], [1]]


def test_unknown_items_and_negative_labels_are_refused() -> None:
    with pytest.raises(sid.DataError, match="interaction 1 names item 'x', which is not in the item table"):
        sid.user_sequences(ITEMS, events([("u", "a", 1), ("u", "x", 2)]))
    with pytest.raises(sid.DataError, match="interaction 1 has label 0"):
        sid.user_sequences(ITEMS, events([("u", "a", 1), ("u", "b", 2)], label=[1, 0]))
