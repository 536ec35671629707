"""From Parquet tables to batches: strict readers, time splits, negatives, histories, examples."""

from __future__ import annotations

from semid_tf.data.batches import scoring_batches, training_batches
from semid_tf.data.complete_journey import complete_journey
from semid_tf.data.embedding_files import ParquetEmbeddings, TFRecordEmbeddings
from semid_tf.data.embedding_source import EmbeddingArrays, EmbeddingSource, WeightedRows
from semid_tf.data.example_files import example_batches, write_examples
from semid_tf.data.examples import Examples, Splits, ranking_examples
from semid_tf.data.histories import histories
from semid_tf.data.negatives import Negatives, draw_negatives
from semid_tf.data.packing import PackedRows, packed
from semid_tf.data.parquet import matching_files
from semid_tf.data.sequences import LeaveOneOut, Sequences, Targets, leave_one_out, user_sequences
from semid_tf.data.splits import split_time, time_windows
from semid_tf.data.synthetic import synthetic_interactions, synthetic_items
from semid_tf.data.tables import (
    IndexedUsers,
    Interactions,
    Items,
    drop_unknown,
    index_users,
    interactions_from_table,
    item_indices,
    items_from_table,
    read_interactions,
    read_items,
    read_tables,
    write_tables,
)
from semid_tf.data.tensors import as_tensor
from semid_tf.data.text_embedding import embed_texts

__all__ = [
    "EmbeddingArrays",
    "EmbeddingSource",
    "Examples",
    "IndexedUsers",
    "Interactions",
    "Items",
    "LeaveOneOut",
    "Negatives",
    "PackedRows",
    "ParquetEmbeddings",
    "Sequences",
    "Splits",
    "TFRecordEmbeddings",
    "Targets",
    "WeightedRows",
    "as_tensor",
    "complete_journey",
    "draw_negatives",
    "drop_unknown",
    "embed_texts",
    "example_batches",
    "histories",
    "index_users",
    "interactions_from_table",
    "item_indices",
    "items_from_table",
    "leave_one_out",
    "matching_files",
    "packed",
    "ranking_examples",
    "read_interactions",
    "read_items",
    "read_tables",
    "scoring_batches",
    "split_time",
    "synthetic_interactions",
    "synthetic_items",
    "time_windows",
    "training_batches",
    "user_sequences",
    "write_examples",
    "write_tables",
]
