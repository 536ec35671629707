"""Sorted 64-bit hashes, and where others stand among them."""

from __future__ import annotations

import numpy as np


class SortedHashes:
    """Finds hashes by their first bits.

    Hashes are spread evenly: where there are as many beginnings, few share one, and they are sooner looked
    through than found by a binary search.

    Args:
        hashes: uint64 [n], rising.
    """

    def __init__(self, hashes: np.ndarray) -> None:
        bits = max(1, len(hashes).bit_length())
        self._shift = np.uint64(64 - bits)
        counts = np.bincount((hashes >> self._shift).astype(np.int64), minlength=1 << bits)
        self._first = (np.cumsum(counts) - counts).astype(np.uint32 if bits <= 32 else np.int64)
        self._most = int(counts.max())
        self._hashes = np.pad(hashes, (0, self._most), mode="edge") if len(hashes) else hashes

    def places(self, hashes: np.ndarray) -> np.ndarray:
        """Where each of some hashes, uint64 [m], stands, of equal ones the first; -1 = nowhere: int64 [m].

        >>> SortedHashes(np.array([3, 5, 5], np.uint64)).places(np.array([5, 4], np.uint64)).tolist()
        [1, -1]
        """
        found, rows = np.full(len(hashes), -1), np.arange(len(hashes))
        places = self._first[hashes >> self._shift].astype(np.int64)
        for _ in range(self._most):
            held = self._hashes[places]
            same, before = held == hashes, held < hashes
            found[rows[same]] = places[same]
            rows, places, hashes = rows[before], places[before] + 1, hashes[before]
        return found
