"""Semantic IDs as text, the frozen item table, and what to do where items share a Semantic ID."""

from semid_tf.ids.collision_tokens import add_collision_tokens
from semid_tf.ids.item_codes import ItemCodes
from semid_tf.ids.item_table import UNKNOWN, ItemTable
from semid_tf.ids.relocation import Relocation, relocate
from semid_tf.ids.semantic_id import (
    format_semantic_id,
    format_semantic_ids,
    parse_semantic_ids,
    require_codes,
)
from semid_tf.ids.sinkhorn import balanced_candidates, balanced_codes
from semid_tf.ids.tuples import places_in_runs, tuple_numbers

__all__ = [
    "UNKNOWN",
    "ItemCodes",
    "ItemTable",
    "Relocation",
    "add_collision_tokens",
    "balanced_candidates",
    "balanced_codes",
    "format_semantic_id",
    "format_semantic_ids",
    "parse_semantic_ids",
    "places_in_runs",
    "relocate",
    "require_codes",
    "tuple_numbers",
]
