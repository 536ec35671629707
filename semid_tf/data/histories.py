"""What a user did before an event."""

from __future__ import annotations

import numpy as np

_BLOCK = 1 << 16


def histories(
    users: np.ndarray,
    items: np.ndarray,
    timestamps: np.ndarray,
    positions: np.ndarray | None,
    counts: np.ndarray,
    rows: np.ndarray,
    length: int,
) -> np.ndarray:
    """The user's latest events strictly before each of the events at `rows`.

    Strictly before is an earlier timestamp, or the same and an earlier position where there are positions: an
    event that ties with another, such as the rest of its shopping basket, is never part of the other's
    history. Events of a history that tie among each other keep their order.

    Args:
        users: int32 [num_events]; there may be none.
        items: int32 [num_events], item_index, at least 1.
        timestamps: int64 [num_events].
        positions: int64 [num_events], or None.
        counts: bool [num_events], which events may stand in a history.
        rows: int64 [n], the events whose history is wanted.
        length: of a history.

    Returns:
        int32 [n, length], latest last, padded with 0 on the left.
    """
    if not len(users):
        return np.zeros((len(rows), length), np.int32)
    order = np.lexsort((timestamps, users) if positions is None else (positions, timestamps, users))
    new_user = _changes(users[order])
    new_moment = new_user | _changes(timestamps[order])
    if positions is not None:
        new_moment |= _changes(positions[order])
    counted = counts[order]
    earlier = np.cumsum(counted) - counted
    start, stop = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    start[order] = earlier[_latest(new_user)]
    stop[order] = earlier[_latest(new_moment)]
    return _gather(items[order][counted], start[rows], stop[rows], length)


def _changes(values: np.ndarray) -> np.ndarray:
    """True where a value differs from the one before it, and at the first."""
    return np.concatenate([[True], values[1:] != values[:-1]])


def _latest(flags: np.ndarray) -> np.ndarray:
    """For each place, the latest place up to it whose flag is set."""
    return np.maximum.accumulate(np.where(flags, np.arange(len(flags)), 0))


def _gather(items: np.ndarray, start: np.ndarray, stop: np.ndarray, length: int) -> np.ndarray:
    """The last `length` of items[start:stop] for each row, in blocks that bound the memory."""
    padded = np.concatenate([items, np.zeros(1, items.dtype)])
    result = np.empty((len(start), length), np.int32)
    for block in range(0, len(start), _BLOCK):
        part = slice(block, block + _BLOCK)
        places = stop[part, None] + np.arange(-length, 0)
        result[part] = padded[np.where(places < start[part, None], len(items), places)]
    return result
