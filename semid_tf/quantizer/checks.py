"""Refuses embeddings and weights that no quantizer can be fitted on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semid_tf.config import CodeSpace
from semid_tf.errors import DataError


class UsableItems(NamedTuple):
    """Items that count: embeddings float32 [n, dim], finite; weights float32 [n], positive, 1 on average."""

    embeddings: np.ndarray
    weights: np.ndarray


def usable_items(embeddings: np.ndarray, weights: np.ndarray | None, code_space: CodeSpace) -> UsableItems:
    """The items of positive weight.

    Raises:
        DataError: shapes do not fit; a weight is negative or not finite; a row that counts is not finite;
            fewer items count than the largest level has codes; all embeddings are equal.
    """
    if embeddings.ndim != 2:
        raise DataError(f"embeddings have shape {list(embeddings.shape)}; [items, dimension] is needed.")
    weights = np.ones(len(embeddings), np.float32) if weights is None else np.asarray(weights, np.float32)
    if weights.shape != (len(embeddings),):
        raise DataError(
            f"weights have shape {list(weights.shape)}; [{len(embeddings)}] is needed, one an item."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError("weights must be finite and not negative.")
    kept = np.flatnonzero(weights > 0)
    if len(kept) < code_space.largest:
        raise DataError(f"{len(kept)} items are too few for codebook_size {code_space.largest}; lower it.")
    values, weights = finite_float32(embeddings[kept], kept), weights[kept]
    if (values == values[0]).all():
        raise DataError("all embeddings are equal; items must differ for Semantic IDs to tell them apart.")
    return UsableItems(values, weights / weights.mean())


def finite_float32(embeddings: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
    """Embeddings, [n, dim] of any float type, as float32; places, int [n], are their rows for the message.

    Raises:
        DataError: names the first row that is not finite, in its own type or in float32.
    """
    with np.errstate(over="ignore"):
        values = np.asarray(embeddings, np.float32)
    # A sum is finite only where all numbers are; it may overflow where they are, so look twice.
    if not np.isfinite(values.sum(dtype=np.float64)) and not (finite := np.isfinite(values)).all():
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
