"""Histories, by hand and against a loop over the events."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from semid_tf.data import histories


def run(events, length, positions=None, counts=None, rows=None):
    users, items, times = (np.array(column) for column in zip(*events, strict=True))
    return histories(
        users,
        items.astype(np.int32),
        times,
        None if positions is None else np.array(positions),
        np.ones(len(events), bool) if counts is None else np.array(counts),
        np.arange(len(events)) if rows is None else np.array(rows),
        length,
    ).tolist()


def test_latest_last_and_padded_on_the_left():
    events = [(0, 11, 1), (1, 21, 1), (0, 12, 2), (0, 13, 3), (1, 22, 4), (0, 14, 5)]
    assert run(events, 2) == [[0, 0], [0, 0], [0, 11], [11, 12], [0, 21], [12, 13]]


def test_the_rest_of_a_basket_is_never_seen():
    events = [(0, 1, 10), (0, 2, 20), (0, 3, 20), (0, 4, 20), (0, 5, 30)]
    assert run(events, 3) == [[0, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1], [2, 3, 4]]


def test_positions_order_a_basket():
    events = [(0, 1, 10), (0, 2, 20), (0, 3, 20), (0, 4, 20)]
    # Item 4 came first on its day; items 2 and 3 share a position and so do not see each other.
    assert run(events, 3, positions=[9, 5, 5, 2]) == [[0, 0, 0], [0, 1, 4], [0, 1, 4], [0, 0, 1]]


def test_only_what_counts_stands_in_a_history():
    events = [(0, 1, 1), (0, 2, 2), (0, 3, 3), (0, 4, 4)]
    assert run(events, 2, counts=[True, False, True, False]) == [[0, 0], [0, 1], [0, 1], [1, 3]]


def test_order_of_the_rows_does_not_matter_and_any_rows_can_be_asked():
    events = [(0, 3, 30), (1, 9, 5), (0, 1, 10), (0, 2, 20)]
    assert run(events, 2, rows=[0, 0, 3]) == [[1, 2], [1, 2], [0, 1]]


def test_nothing_counts():
    assert run([(0, 1, 1), (0, 2, 2)], 1, counts=[False, False]) == [[0], [0]]


def test_no_events():
    none = np.zeros(0, np.int64)
    found = histories(none, none, none, none, none == 1, none, 3)
    assert (found.shape, found.dtype) == ((0, 3), np.int32)


EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(0, 6), st.integers(0, 3), st.booleans()),
    min_size=1,
    max_size=40,
)


@settings(deadline=None)
@given(EVENTS, st.integers(1, 6), st.booleans())
def test_same_as_a_loop(events, length, positioned):
    users, items, times, places, counts = (list(column) for column in zip(*events, strict=True))

    def moment(row):
        return (times[row], places[row] if positioned else 0)

    expected = []
    for row in range(len(events)):
        earlier = [r for r in range(len(events)) if users[r] == users[row] and moment(r) < moment(row)]
        seen = [items[r] for r in sorted(earlier, key=lambda r: (moment(r), r)) if counts[r]][-length:]
        expected.append([0] * (length - len(seen)) + seen)
    triples = list(zip(users, items, times, strict=True))
    assert run(triples, length, places if positioned else None, counts) == expected
