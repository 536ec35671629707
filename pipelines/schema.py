"""Columns of the tables that the jobs read, pass on and write: named and typed here, once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

ITEM_ID = "item_id"
EMBEDDING = "embedding"
CODES = "codes"
SEMANTIC_ID = "semantic_id"
PIECE_IDS = "piece_ids"
QUANTIZER = "quantizer"
ENCODED_AT = "encoded_at"
CONTENT = "content"
ITEM_HASH = "item_hash"
REASON = "reason"
SOURCE = "source"
ROW = "row"

#: Of `encoded_at`: when the job that made the codes began.
TIME = pa.timestamp("us", "UTC")

# A text that many rows share; stored once a table.
LABEL = pa.dictionary(pa.int32(), pa.string())

_ORIGIN = [(SOURCE, LABEL), (ROW, pa.int64())]
REJECTED = pa.schema([(ITEM_ID, pa.string()), (REASON, LABEL), *_ORIGIN])

_TEXT = pa.string()
#: Items that are still the same: what finds their rows in the earlier run.
UNCHANGED = pa.schema([(ITEM_HASH, pa.uint64()), (CONTENT, pa.int64()), *_ORIGIN])
REJECTED_FILE = pa.schema([(ITEM_ID, _TEXT), (REASON, _TEXT), (SOURCE, _TEXT), (ROW, pa.int64())])
CODES_FILE = pa.schema(
    [
        (ITEM_ID, _TEXT),
        (CODES, pa.list_(pa.int32())),
        (SEMANTIC_ID, _TEXT),
        (QUANTIZER, _TEXT),
        (ENCODED_AT, TIME),
        (CONTENT, pa.int64()),
    ]
)


def valid_schema(embedding_dim: int) -> pa.Schema:
    """Items that can be encoded: `embedding` is float32, finite and of one length; `content` hashes both."""
    embedding = pa.list_(pa.float32(), embedding_dim)
    return pa.schema([(ITEM_ID, pa.string()), (EMBEDDING, embedding), (CONTENT, pa.int64()), *_ORIGIN])


def encoded_schema(num_levels: int, codebook_size: int) -> pa.Schema:
    """Encoded items, with the fingerprint of the quantizer that made their codes, and when.

    Codes are as narrow as can be, since all of them are shuffled.
    """
    narrow = pa.uint16() if codebook_size <= 1 << 16 else pa.int32()
    codes = (CODES, pa.list_(narrow, num_levels))
    made = [(QUANTIZER, LABEL), (ENCODED_AT, TIME), (CONTENT, pa.int64())]
    return pa.schema([(ITEM_ID, pa.string()), codes, *made, *_ORIGIN])


def codes_schema(piece_columns: Sequence[str] = ()) -> pa.Schema:
    """`CODES_FILE` with a column of piece ids for each tokenizer."""
    return pa.schema([*CODES_FILE, *((name, pa.list_(pa.int32())) for name in piece_columns)])


def labels(text: str, length: int) -> pa.Array:
    """A column that says the same in every row."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(length, np.int32)), pa.array([text], pa.string()))


def vectors(matrix: np.ndarray) -> pa.Array:
    """A matrix [n, width] as a column of lists of one length, without copying."""
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])


def matrix(column: pa.ChunkedArray) -> np.ndarray:
    """The matrix [n, width] behind a column of `vectors`."""
    return one_array(column).flatten().to_numpy().reshape(-1, column.type.list_size)


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece; unlike Arrow's `combine_chunks`, this copies only what is in several."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
