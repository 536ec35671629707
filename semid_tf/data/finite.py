"""Refuses embeddings that are not finite."""

from __future__ import annotations

import numpy as np

from semid_tf.errors import DataError


def finite_float32(embeddings: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
    """Embeddings, [n, dim] of any float type, as float32; places, int [n], are their rows for the message.

    Raises:
        DataError: names the first row that is not finite, in its own type or in float32.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(embeddings, np.float32)
        total = np.einsum("ij->", values)  # in a quarter of the time of `sum`
    # A sum is finite only where all numbers are; it may overflow where they are, so look twice.
    if not np.isfinite(total) and not (finite := np.isfinite(values)).all():
        row = int(np.flatnonzero(~finite.all(axis=1))[0])
        place = int(row if places is None else places[row])
        raise DataError(
            f"embeddings[{place}] is not finite{_why(embeddings[row])}; remove or mend that item."
        )
    return values


def _why(row: np.ndarray) -> str:
    if np.isfinite(row).all():
        return f" in float32 (its {row.dtype} numbers are too large)"
    if row.dtype == np.float16 and np.isinf(row).any():
        return " (float16 ends at 65504)"
    return ""
