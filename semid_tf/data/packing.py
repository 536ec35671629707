"""Short sequences packed one behind the other into rows of one length: hardly any padding, one shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from semid_tf.data.sequences import Sequences


class PackedBatch(NamedTuple):
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


def packed_batches(
    sequences: Sequences, max_length: int, rows: int, row_length: int, random: np.random.Generator
) -> Iterator[PackedBatch]:
    """One pass over all users in random order; every event but the first of a user is once a target.

    Of a sequence the latest `max_length` inputs are taken. Users with fewer than two events teach nothing.

    Args:
        sequences: to learn from.
        max_length: inputs of a sequence, at most `row_length`.
        rows: of a batch; the last batch is filled up with empty rows.
        row_length: of a row.
        random: draws the order.
    """
    users = random.permutation(np.flatnonzero(sequences.lengths >= 2))
    lengths = np.minimum(sequences.lengths[users] - 1, max_length)
    row, column = _places(lengths, row_length)
    num_rows = -(-int(row[-1] + 1) // rows) * rows if len(users) else 0
    event = np.repeat(sequences.starts[users + 1] - 1 - lengths, lengths) + _counted(lengths)
    into = np.repeat(row, lengths), np.repeat(column, lengths) + _counted(lengths)
    segment = np.arange(len(users)) - np.searchsorted(row, row) + 1
    parts = (
        sequences.items[event],
        sequences.items[event + 1],
        np.repeat(segment, lengths),
        np.repeat(lengths, lengths) - _counted(lengths),
    )
    packed = np.zeros((len(parts), num_rows, row_length), np.int32)
    for place, part in enumerate(parts):
        packed[place][into] = part
    for start in range(0, num_rows, rows):
        yield PackedBatch(*packed[:, start : start + rows])


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
