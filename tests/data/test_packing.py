"""Packing: nothing lost, nothing mixed up, hardly any padding."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import semid_tf as sid


def world(lengths: list[int]) -> sid.Sequences:
    """Sequences whose items are all different, so that every pair tells where it is from."""
    return sid.Sequences(np.arange(1, sum(lengths) + 1, dtype=np.int32), np.cumsum([0, *lengths]))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=40), st.integers(1, 6), st.integers(0, 9))
def test_every_event_but_the_first_is_once_a_target(lengths: list[int], longest: int, seed: int) -> None:
    sequences = world(lengths)
    rows = sid.packed(sequences, longest, 8, np.random.default_rng(seed))
    pairs = sorted(zip(rows.items[rows.items > 0], rows.targets[rows.items > 0], strict=True))
    expected = [
        (item, item + 1)
        for start, stop in zip(sequences.starts[:-1], sequences.starts[1:], strict=True)
        for item in range(max(start + 1, stop - longest), stop)
    ]
    assert pairs == expected


def test_rows_hold_whole_sequences_with_places_counted_back() -> None:
    rows = sid.packed(world([4, 3, 9, 2]), max_length=5, row_length=6, random=np.random.default_rng(1))
    for items, targets, segments, places in zip(*rows, strict=True):
        for segment in range(1, segments.max() + 1):
            inside = np.flatnonzero(segments == segment)
            assert inside.tolist() == list(range(inside[0], inside[-1] + 1))
            assert places[inside].tolist() == list(range(len(inside), 0, -1))
            np.testing.assert_array_equal(items[inside[1:]], targets[inside[:-1]])
        padding = segments == 0
        assert not (items[padding].any() or targets[padding].any() or places[padding].any())


def test_batches_share_the_rows_evenly() -> None:
    rows = sid.packed(world([5] * 100), 4, 8, np.random.default_rng(0))
    sizes = [len(batch.items) for batch in rows.batches(7)]
    assert sum(sizes) == 50 and set(sizes) == {7, 8}
    np.testing.assert_array_equal(np.concatenate([b.targets for b in rows.batches(7)]), rows.targets)


def test_little_is_padding() -> None:
    lengths = np.random.default_rng(0).geometric(0.12, 3000).tolist()
    rows = sid.packed(world(lengths), 50, 64, np.random.default_rng(0))
    assert (rows.items > 0).mean() > 0.85
