"""Which items a quantizer is fitted on, and which come as new ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import semid_tf as sid


class Holdout(NamedTuple):
    """Rows of a catalogue: `train` and `new`, int64, ascending, together each row once."""

    train: np.ndarray
    new: np.ndarray


def hold_out(num_items: int, share: float, seed: int) -> Holdout:
    """Draws `share` of the items, in (0, 1), as new ones.

    >>> [len(rows) for rows in hold_out(50, share=0.1, seed=0)]
    [45, 5]

    Raises:
        DataError: the share is no such number, or leaves fewer than two items on one side.
    """
    count = round(num_items * share)
    if not 0 < share < 1 or not 2 <= count <= num_items - 2:
        raise sid.DataError(
            f"a holdout of {share} of {num_items} items leaves too few to train on or to judge by."
        )
    order = np.random.default_rng(seed).permutation(num_items)
    return Holdout(train=np.sort(order[count:]), new=np.sort(order[:count]))
