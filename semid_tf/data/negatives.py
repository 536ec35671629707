"""Negatives in proportion to popularity within the time window of the positive.

The law. A negative for an event of user u in window w is the item of an event drawn uniformly from all events
of w, given that u met that item in no event of w. Where u did, it is drawn again, at most `ROUNDS` times;
what still clashes becomes padding of weight 0. So the chance of an item is in proportion to its number of
events in w, and popularity tells next to nothing about which candidate is the positive. Negatives of one
positive are independent: they may repeat.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ROUNDS = 8


class Negatives(NamedTuple):
    """Drawn negatives.

    Attributes:
        items: int32 [n, num_negatives], item_index; 0 = none was found.
        weights: float32 [n, num_negatives], 1, or 0 where none was found.
    """

    items: np.ndarray
    weights: np.ndarray


def draw_negatives(
    users: np.ndarray,
    items: np.ndarray,
    windows: np.ndarray,
    rows: np.ndarray,
    num_negatives: int,
    rng: np.random.Generator,
) -> Negatives:
    """Draws negatives for the events at `rows`, by the law above.

    Args:
        users: int32 [num_events], user of each event.
        items: int32 [num_events], item_index of each event, at least 1.
        windows: int64 [num_events], ascending, window of each event.
        rows: int64 [n], the events that need negatives.
        num_negatives: for each of them.
        rng: source of the draws.
    """
    first = np.searchsorted(windows, windows[rows], side="left")[:, None]
    past_last = np.searchsorted(windows, windows[rows], side="right")[:, None]
    met = _Met(users, items, windows)
    drawn = items[rng.integers(first, past_last, (len(rows), num_negatives))]
    clash = met.holds(rows[:, None], drawn)
    for _ in range(ROUNDS):
        row, column = np.nonzero(clash)
        if len(row) == 0:
            break
        again = items[rng.integers(first[row, 0], past_last[row, 0])]
        drawn[row, column] = again
        clash[row, column] = met.holds(rows[row], again)
    return Negatives(np.where(clash, 0, drawn).astype(np.int32), (~clash).astype(np.float32))


class _Met:
    """Answers whether the user of an event met an item in the event's window."""

    def __init__(self, users: np.ndarray, items: np.ndarray, windows: np.ndarray) -> None:
        pairs = windows * (int(users.max()) + 1) + users
        self._num_items = int(items.max()) + 1
        self._offsets = np.unique(pairs, return_inverse=True)[1] * self._num_items
        self._keys = np.unique(self._offsets + items)

    def holds(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        wanted = self._offsets[rows] + items
        place = np.searchsorted(self._keys, wanted)
        return self._keys[np.minimum(place, len(self._keys) - 1)] == wanted
