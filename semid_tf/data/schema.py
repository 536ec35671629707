"""Field names and Arrow types of the tables, in one place."""

from __future__ import annotations

import pyarrow as pa

ITEM_ID = "item_id"
EMBEDDING = "embedding"
WEIGHT = "weight"
TITLE = "title"
USER_ID = "user_id"
TIMESTAMP = "timestamp"
LABEL = "label"
POSITION = "position"
CODES = "codes"
SEMANTIC_ID = "semantic_id"
REASON = "reason"

ID_TYPE = pa.string()
TIMESTAMP_TYPE = pa.int64()
LABEL_TYPE = pa.float32()
POSITION_TYPE = pa.int64()
SEMANTIC_ID_TYPE = pa.string()
REASON_TYPE = pa.string()

ITEMS_FILE = "items.parquet"
INTERACTIONS_FILE = "interactions.parquet"
ITEM_ROW_GROUP = 4096


def embedding_type(dim: int) -> pa.DataType:
    """The embedding column as this library writes it.

    >>> embedding_type(128)
    FixedSizeListType(fixed_size_list<item: float>[128])
    """
    return pa.list_(pa.float32(), dim)


def codes_type(num_levels: int) -> pa.DataType:
    """The column of codes, coarsest first.

    >>> codes_type(4)
    FixedSizeListType(fixed_size_list<item: int32>[4])
    """
    return pa.list_(pa.int32(), num_levels)
