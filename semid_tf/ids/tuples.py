"""Tuples of codes as single numbers, so that equal tuples are found by sorting integers."""

from __future__ import annotations

import numpy as np

_LIMIT = 2**62


def tuple_numbers(codes: np.ndarray) -> np.ndarray:
    """One number for each row of `codes`, int [n, num_levels], none negative: int64 [n].

    Two numbers are equal exactly where the rows are, and they are in the order of the rows. They hold for
    this array only. Where the levels together need more than 62 bits, numbers of shorter prefixes are made
    dense first, so nothing wraps and nothing is hashed. Cost: at most a sort a level.

    >>> tuple_numbers(np.array([[1, 0], [0, 5], [1, 0]])).tolist()
    [6, 5, 6]
    """
    numbers, span = np.zeros(len(codes), np.int64), 1
    for level in np.asarray(codes).T:
        size = int(level.max(initial=0)) + 1
        if span * size > _LIMIT:
            numbers = np.unique(numbers, return_inverse=True)[1]
            span = int(numbers.max(initial=0)) + 1
        numbers, span = numbers * size + level, span * size
    return numbers


def places_in_runs(ordered: np.ndarray) -> np.ndarray:
    """Place of each entry among its equals, in an array where equals stand together: int64 [n].

    >>> places_in_runs(np.array([4, 4, 9, 2, 2, 2])).tolist()
    [0, 1, 0, 0, 1, 2]
    """
    places = np.arange(len(ordered))
    starts = np.ones(len(ordered), bool)
    starts[1:] = ordered[1:] != ordered[:-1]
    return places - np.maximum.accumulate(np.where(starts, places, 0))
