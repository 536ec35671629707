"""Batches of equal size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

BATCH_ITEMS = 4096


def in_batches(work: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """What `work` makes of `values`, [n, ...], batch by batch."""
    return np.concatenate([work(values[i : i + BATCH_ITEMS]) for i in range(0, len(values), BATCH_ITEMS)])


def full_batches(values: np.ndarray, most: int) -> list[np.ndarray]:
    """The first whole batches, at most so many; all values as one batch where they fill none.

    They lie as Arrow lays them, the way a corpus comes out of Parquet: at multiples of 64 bytes, where
    TensorFlow can read them without a copy. NumPy's own memory rarely does.
    """
    starts = range(0, len(values) - BATCH_ITEMS + 1, BATCH_ITEMS)
    batches = [values[start : start + BATCH_ITEMS] for start in starts[:most]] or [values]
    return [_as_arrow_lays(batch) for batch in batches]


def _as_arrow_lays(batch: np.ndarray) -> np.ndarray:
    laid = np.frombuffer(pa.allocate_buffer(batch.nbytes), batch.dtype).reshape(batch.shape)
    laid[:] = batch
    return laid
