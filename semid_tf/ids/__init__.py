"""Semantic IDs as text, and the frozen item table."""

from semid_tf.ids.item_table import UNKNOWN, ItemTable
from semid_tf.ids.semantic_id import (
    format_semantic_id,
    format_semantic_ids,
    parse_semantic_ids,
    require_codes,
)

__all__ = [
    "UNKNOWN",
    "ItemTable",
    "format_semantic_id",
    "format_semantic_ids",
    "parse_semantic_ids",
    "require_codes",
]
