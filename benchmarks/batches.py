"""Batches of equal size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

BATCH_ITEMS = 4096


def in_batches(work: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """What `work` makes of `values`, [n, ...], batch by batch."""
    return np.concatenate([work(values[i : i + BATCH_ITEMS]) for i in range(0, len(values), BATCH_ITEMS)])


def full_batches(values: np.ndarray, most: int) -> list[np.ndarray]:
    """The first whole batches, at most so many; all values as one batch where they fill none."""
    starts = range(0, len(values) - BATCH_ITEMS + 1, BATCH_ITEMS)
    return [values[start : start + BATCH_ITEMS] for start in starts[:most]] or [values]
