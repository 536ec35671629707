"""Which items can be encoded, and why the others cannot: pure functions on Arrow tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.content import content_hashes
from pipelines.schema import (
    EMBEDDING,
    ITEM_ID,
    REJECTED,
    ROW,
    SOURCE,
    labels,
    one_array,
    valid_schema,
    vectors,
)

MISSING_ITEM_ID = "missing_item_id"
MISSING_EMBEDDING = "missing_embedding"
WRONG_DIMENSION = "wrong_dimension"
NOT_FINITE = "not_finite"
DUPLICATE_ITEM_ID = "duplicate_item_id"

#: All reasons; an item with several faults is rejected for the first of them.
REASONS = (MISSING_ITEM_ID, MISSING_EMBEDDING, WRONG_DIMENSION, NOT_FINITE, DUPLICATE_ITEM_ID)

_VALID = -1


class Split(NamedTuple):
    """The two doors: each row of a table is in exactly one of them.

    Attributes:
        valid: `schema.valid_schema`.
        rejected: `schema.REJECTED`.
    """

    valid: pa.Table
    rejected: pa.Table


def split(items: pa.Table, embedding_dim: int) -> Split:
    """Separates items that can be encoded from those that cannot.

    Args:
        items: `item_id` text or integer; `embedding` lists of float16, float32 or float64; `source`; `row`.
        embedding_dim: length that an embedding must have.

    A missing item_id is null or empty. Not finite is what float32 cannot hold: NaN, infinity, an overflow,
    or a null inside of an embedding.
    """
    items = items.set_column(0, ITEM_ID, items.column(ITEM_ID).cast(pa.string()))
    embeddings = one_array(items.column(EMBEDDING))
    faults = _shape_faults(items.column(ITEM_ID), embeddings, embedding_dim)
    matrix = _float32(_where(embeddings, faults == _VALID), embedding_dim)
    finite = _finite_rows(matrix)
    faults[np.flatnonzero(faults == _VALID)[~finite]] = REASONS.index(NOT_FINITE)
    return Split(
        _valid(items, faults == _VALID, matrix if finite.all() else matrix[finite]),
        _rejected(items, faults),
    )


def _shape_faults(item_ids: pa.ChunkedArray, embeddings: pa.Array, embedding_dim: int) -> np.ndarray:
    """An index into REASONS for each row, or _VALID."""
    missing_id = pc.fill_null(pc.equal(item_ids, ""), True)
    wrong_length = pc.fill_null(pc.not_equal(pc.list_value_length(embeddings), embedding_dim), True)
    faults = [MISSING_ITEM_ID, MISSING_EMBEDDING, WRONG_DIMENSION]
    return np.select(
        [np.asarray(missing_id), np.asarray(embeddings.is_null()), np.asarray(wrong_length)],
        [REASONS.index(fault) for fault in faults],
        default=_VALID,
    )


def _where(embeddings: pa.Array, kept: np.ndarray) -> pa.Array:
    return embeddings if kept.all() else embeddings.filter(pa.array(kept))


def _float32(embeddings: pa.Array, embedding_dim: int) -> np.ndarray:
    values = embeddings.flatten().to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False).reshape(-1, embedding_dim)


def _finite_rows(matrix: np.ndarray) -> np.ndarray:
    """bool [n]. A row whose sum is finite has finite values; only the others are looked at one by one.

    Not by a matrix product: the threads of its library spin on for a while, which costs more than the sum.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(np.einsum("ij->i", matrix))
    doubtful = np.flatnonzero(~finite)
    finite[doubtful] = np.isfinite(matrix[doubtful]).all(axis=1)
    return finite


def _valid(items: pa.Table, kept: np.ndarray, matrix: np.ndarray) -> pa.Table:
    rows = items.drop_columns(EMBEDDING)
    if not kept.all():
        rows = rows.filter(pa.array(kept))
    item_ids = rows.column(ITEM_ID)
    content = content_hashes(one_array(item_ids), matrix)
    columns = [item_ids, vectors(matrix), content, rows.column(SOURCE), rows.column(ROW)]
    return pa.table(columns, schema=valid_schema(matrix.shape[1]))


def _rejected(items: pa.Table, faults: np.ndarray) -> pa.Table:
    kept = faults != _VALID
    if not kept.any():
        return REJECTED.empty_table()
    rows = items.filter(pa.array(kept))
    reasons = pa.DictionaryArray.from_arrays(pa.array(faults[kept].astype(np.int32)), pa.array(REASONS))
    return pa.table([rows.column(ITEM_ID), reasons, rows.column(SOURCE), rows.column(ROW)], schema=REJECTED)


def reject(items: pa.Table, reason: str) -> pa.Table:
    """All of these items, rejected for one reason."""
    columns = [items.column(ITEM_ID), labels(reason, len(items)), items.column(SOURCE), items.column(ROW)]
    return pa.table(columns, schema=REJECTED)
