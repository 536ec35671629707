"""Short sequences packed one behind the other into rows of one length: hardly any padding, one shape."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semid_tf.data.sequences import Sequences


class PackedRows(NamedTuple):
    """Rows of sequences; all int32 [rows, row_length], 0 = padding.

    Attributes:
        items: item_index of each input.
        targets: item_index of the event that follows it.
        segments: 1, 2, ... for the sequences within a row.
        places: of the input in its sequence, counted back from its end: 1 = the latest.
    """

    items: np.ndarray
    targets: np.ndarray
    segments: np.ndarray
    places: np.ndarray

    def batches(self, count: int) -> list[PackedRows]:
        """The rows in `count` batches of nearly equal size."""
        split = [np.array_split(part, count) for part in self]
        return [PackedRows(*batch) for batch in zip(*split, strict=True)]


def packed(sequences: Sequences, max_length: int, row_length: int, random: np.random.Generator) -> PackedRows:
    """All users in random order; every event but the first of a user is once a target.

    Of a sequence the latest `max_length` inputs are taken. Users with fewer than two events teach nothing.

    Args:
        sequences: to learn from.
        max_length: inputs of a sequence, at most `row_length`.
        row_length: of a row.
        random: draws the order.
    """
    users = random.permutation(np.flatnonzero(sequences.lengths >= 2))
    lengths = np.minimum(sequences.lengths[users] - 1, max_length)
    row, column = _places(lengths, row_length)
    num_rows = int(row[-1]) + 1 if len(users) else 0
    event = np.repeat(sequences.starts[users + 1] - 1 - lengths, lengths) + _counted(lengths)
    into = np.repeat(row, lengths), np.repeat(column, lengths) + _counted(lengths)
    segment = np.arange(len(users)) - np.searchsorted(row, row) + 1
    parts = (
        sequences.items[event],
        sequences.items[event + 1],
        np.repeat(segment, lengths),
        np.repeat(lengths, lengths) - _counted(lengths),
    )
    rows = np.zeros((len(parts), num_rows, row_length), np.int32)
    for place, part in enumerate(parts):
        rows[place][into] = part
    return PackedRows(*rows)


def _places(lengths: np.ndarray, row_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and first column of each sequence, filled in order; a sequence that does not fit opens a row."""
    row, column = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    at_row, at_column = 0, 0
    for place, length in enumerate(lengths.tolist()):
        if at_column + length > row_length:
            at_row, at_column = at_row + 1, 0
        row[place], column[place] = at_row, at_column
        at_column += length
    return row, column


def _counted(lengths: np.ndarray) -> np.ndarray:
    """0 to length - 1 for each length, one behind the other."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
