"""Items move to the nearest free code of the last level, so that fewer share a Semantic ID."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from semid_tf.errors import CodesError, ConfigError
from semid_tf.ids.item_codes import ItemCodes
from semid_tf.ids.published import standing
from semid_tf.ids.tuples import places_in_runs, tuple_numbers

_CELLS = 2**22  # of the table of one block: 32 MB


class Relocation(NamedTuple):
    """What became of the items, row for row.

    Attributes:
        items: their codes now.
        moved: bool [n], the codes are others than the quantizer's.
        unplaced: bool [n], a new item that found no room and kept the quantizer's codes, a full Semantic ID.
    """

    items: ItemCodes
    moved: np.ndarray
    unplaced: np.ndarray


def relocate(
    items: ItemCodes, candidates: np.ndarray, capacity: int = 1, published: ItemCodes | None = None
) -> Relocation:
    """Moves items whose Semantic ID is full to the nearest last code with room; earlier codes stay.

    In round r every item without a place asks for its r-th candidate. Where more ask than there is room, the
    first by item id (in the order of code points) have it. Items placed in one round are not driven out in a
    later one, so items stay as near to their own code as those before them let them. At the end no item
    without a place has a candidate with room.

    Nothing depends on the order of the rows. Published items have their places first and never move; they
    hold them for as long as they stay in `published` (`ItemCodes.extended` keeps them all). Memory is
    bounded: items are placed in blocks of prefixes. Time: a few sorts of n integers, and what is left over
    in each round.

    Args:
        items: the codes of the quantizer, int32 [n, num_levels].
        candidates: int32 [n, k], last codes of each item, nearest first, all different in a row; the item's
            own among them.
        capacity: at most so many items have the same Semantic ID, if there is room elsewhere.
        published: what was given before, codes int32 [m, num_levels].

    >>> items = ItemCodes(np.array(["b", "a"], object), np.array([[5, 1], [5, 1]], np.int32))
    >>> relocate(items, np.array([[1, 3], [1, 0]], np.int32)).items.codes.tolist()
    [[5, 3], [5, 1]]

    Raises:
        CodesError: candidates have the wrong shape, are negative or lack the own code; the levels do not fit.
        ConfigError: capacity below 1.
        ProvenanceError: `published` is of another quantizer.
    """
    _require_candidates(items, candidates)
    if capacity < 1:
        raise ConfigError(f"capacity must be at least 1, got {capacity}.")
    before = standing(items, published, items.num_levels, "the published codes have")
    codes, new = before.codes, before.new
    placed = _place(before.published.codes, items.codes, candidates, new, capacity)
    unplaced = np.zeros(len(items), bool)
    unplaced[new] = placed < 0
    codes[new, :-1] = items.codes[new, :-1]
    codes[new, -1] = np.where(placed < 0, items.codes[new, -1], placed)
    moved = (codes != items.codes).any(axis=1)
    return Relocation(items.with_codes(codes, before.quantizer), moved, unplaced)


def _require_candidates(items: ItemCodes, candidates: np.ndarray) -> None:
    fits = candidates.ndim == 2 and len(candidates) == len(items) and candidates.shape[1] > 0
    if not fits or candidates.dtype.kind not in "iu":
        found = f"{candidates.dtype} {list(candidates.shape)}"
        raise CodesError(f"candidates are {found}; integers [{len(items)}, k] are needed.")
    if candidates.min(initial=0) < 0:
        raise CodesError(f"a candidate is {candidates.min()}; codes begin at 0.")
    foreign = ~(candidates == items.codes[:, -1:]).any(axis=1)
    if foreign.any():
        row = int(np.argmax(foreign))
        raise CodesError(
            f"candidates[{row}] lacks {items.codes[row, -1]}, the code of item {items.item_ids[row]!r}; "
            "candidates must be of the same quantizer and embeddings as the codes."
        )


def _place(
    published: np.ndarray, codes: np.ndarray, candidates: np.ndarray, new: np.ndarray, capacity: int
) -> np.ndarray:
    """Last code of each row in `new`, which is in order of priority; -1 where there is no room: int64."""
    placed = candidates[new, 0].astype(np.int64)
    width = int(max(candidates.max(initial=0), published[:, -1].max(initial=0))) + 1
    prefixes = tuple_numbers(np.concatenate([published[:, :-1], codes[new, :-1]]))
    wanted = np.concatenate([published[:, -1], placed])
    theirs, ours = np.split(_contested(prefixes, wanted, width, capacity), [len(published)])
    for block in _blocks(theirs, ours, max(_CELLS // width, 1)):
        slots_taken = (theirs[block.theirs] - block.first) * width + published[block.theirs, -1]
        room = capacity - np.bincount(slots_taken, minlength=block.num_prefixes * width)
        starts = (ours[block.ours] - block.first) * width
        placed[block.ours] = _rounds(room, starts, candidates, new[block.ours])
    return placed


def _contested(prefixes: np.ndarray, wanted: np.ndarray, width: int, capacity: int) -> np.ndarray:
    """Dense numbers of the prefixes in which more items want a code than it has room for; others -1."""
    distinct, prefixes = np.unique(prefixes, return_inverse=True)
    slots, counts = np.unique(prefixes * width + wanted, return_counts=True)
    numbers = np.full(len(distinct), -1)
    full = np.unique(slots[counts > capacity] // width)
    numbers[full] = np.arange(len(full))
    return numbers[prefixes]


class _Block(NamedTuple):
    """Prefixes that are looked at together, and the entries under them, in order of priority."""

    first: int
    num_prefixes: int
    theirs: np.ndarray
    ours: np.ndarray


def _blocks(theirs: np.ndarray, ours: np.ndarray, most: int) -> Iterator[_Block]:
    by_prefix = [np.argsort(prefixes, kind="stable") for prefixes in (theirs, ours)]
    for first in range(0, int(ours.max(initial=-1)) + 1, most):
        bounds = (first, first + most)
        inside = [
            rows[slice(*np.searchsorted(prefixes[rows], bounds))]
            for rows, prefixes in zip(by_prefix, (theirs, ours), strict=True)
        ]
        yield _Block(first, most, *inside)


def _rounds(room: np.ndarray, starts: np.ndarray, candidates: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """One round for each rank of candidates; `room` is counted down. int64 [len(rows)], -1 = no room."""
    placed = np.full(len(rows), -1)
    waiting = np.arange(len(rows))
    for rank in range(candidates.shape[1]):
        wanted = candidates[rows[waiting], rank]
        winners = _winners(room, starts[waiting] + wanted)
        placed[waiting[winners]] = wanted[winners]
        waiting = np.delete(waiting, winners)
        if not len(waiting):
            break
    return placed


def _winners(room: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Places in `slots` of those who find room, the first in order before others; `room` is counted down."""
    asking = np.flatnonzero(room[slots] > 0)
    asking = asking[np.argsort(slots[asking], kind="stable")]
    asked = slots[asking]
    won = places_in_runs(asked) < room[asked]
    np.subtract.at(room, asked[won], 1)
    return asking[won]
