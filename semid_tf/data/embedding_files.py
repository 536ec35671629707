"""Embeddings in files larger than memory: Parquet and TFRecord."""

from __future__ import annotations

import abc
import re
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import tensorflow as tf

from semid_tf.data import columns, schema
from semid_tf.data.embedding_source import BLOCK_ROWS, EmbeddingSource, WeightedRows
from semid_tf.data.parquet import LocatedTable, matching_files, read_row_group, row_groups
from semid_tf.data.shuffle_buffer import ShuffleBuffer, shuffled_batches
from semid_tf.errors import DataError

BUFFER_ROWS = 131_072
_REQUIRED = (schema.ITEM_ID, schema.EMBEDDING)
_OPTIONAL = (schema.WEIGHT,)


class Segment(Protocol):
    """A part of the files that is read from its beginning, as often as asked."""

    def __call__(self) -> Iterator[LocatedTable]:
        """Its rows, in blocks that fit into memory."""


class EmbeddingFiles(EmbeddingSource):
    """Embeddings in files, never more of them in memory than the shuffle buffer and a few blocks.

    A pass reads the segments (row groups of Parquet, files of TFRecord) in a random order and shuffles their
    rows through a buffer. All rows are checked in every pass.

    Args:
        buffer_rows: rows that the buffer holds; 4 * dim bytes each.
    """

    def __init__(self, buffer_rows: int = BUFFER_ROWS) -> None:
        self.buffer_rows = buffer_rows

    @property
    @abc.abstractmethod
    def segments(self) -> list[Segment]:
        """The parts in order."""

    @cached_property
    def embedding_dim(self) -> int:
        for rows in self.in_order():
            return rows.embeddings.shape[1]
        raise DataError(f"{self} has no rows of weight above 0; it must have at least one.")

    @property
    def order(self) -> dict[str, Any]:
        parts = {"segments": len(self.segments), "buffer_rows": self.buffer_rows}
        return {"source": type(self).__name__} | parts

    def in_order(self) -> Iterator[WeightedRows]:
        return self._rows(self.segments)

    def shuffled(self, batch_size: int, seed: Sequence[int]) -> Iterator[WeightedRows]:
        random = np.random.default_rng(seed)
        order = random.permutation(len(self.segments))
        buffer = ShuffleBuffer(self.buffer_rows, self.embedding_dim, random)
        return shuffled_batches(self._rows([self.segments[i] for i in order]), batch_size, buffer)

    def _rows(self, segments: list[Segment]) -> Iterator[WeightedRows]:
        dim = vars(self).get("embedding_dim")  # unknown in the pass that finds it
        for segment in segments:
            for table in segment():
                rows = _rows_of(table, dim)
                dim = rows.embeddings.shape[1]
                if len(rows.weights):
                    yield rows


def _rows_of(table: LocatedTable, dim: int | None) -> WeightedRows:
    item_ids = columns.ids(table, schema.ITEM_ID)
    embeddings, weights = columns.embeddings(table, item_ids), columns.weights(table)
    if dim not in (None, embeddings.shape[1]):
        raise DataError(
            f"{table.where(0)}: embedding of item {item_ids[0]!r} has length {embeddings.shape[1]}; rows "
            f"before have {dim}, and all must have one length."
        )
    if weights is None:
        return WeightedRows(embeddings, np.ones(len(embeddings), np.float32))
    kept = weights > 0
    return WeightedRows(embeddings, weights) if kept.all() else WeightedRows(embeddings[kept], weights[kept])


class ParquetEmbeddings(EmbeddingFiles):
    """Embeddings in Parquet files with columns `item_id`, `embedding` and perhaps `weight`.

    Types as in `read_items`; `weight` is a number, finite and not negative; in a file without it all items
    weigh 1. That each item occurs once is not checked: it would need all names in memory.

    Args:
        pattern: a file, a glob pattern or a folder.
        buffer_rows: rows that the shuffle buffer holds.

    Raises:
        DataError: no file, an unreadable one, a missing column; while it is read: a wrong row, by file and
            number.
    """

    def __init__(self, pattern: str | Path, buffer_rows: int = BUFFER_ROWS) -> None:
        super().__init__(buffer_rows)
        self.pattern = str(pattern)
        self._segments: list[Segment] = [
            partial(read_row_group, group, _REQUIRED, _OPTIONAL, BLOCK_ROWS)
            for path in matching_files(self.pattern)
            for group in row_groups(path, _REQUIRED, _OPTIONAL)
        ]

    def __str__(self) -> str:
        return self.pattern

    @property
    def segments(self) -> list[Segment]:
        return self._segments


class TFRecordEmbeddings(EmbeddingFiles):
    """Embeddings in TFRecord files of `tf.Example`.

    Features: `item_id` one byte string, `embedding` a float list, perhaps `weight` one float; a record
    without it weighs 1. Files whose name ends in `.gz` are read as GZIP.

    Args:
        pattern: a file, a glob pattern or a folder, of which all files named `*.tfrecord*` are read.
        buffer_rows: rows that the shuffle buffer holds.

    Raises:
        DataError: no file; while it is read: an unreadable file, a wrong row, by file and number.
    """

    def __init__(self, pattern: str | Path, buffer_rows: int = BUFFER_ROWS) -> None:
        super().__init__(buffer_rows)
        self.pattern = str(pattern)
        self._segments: list[Segment] = [
            partial(_read_tfrecord, path) for path in matching_files(self.pattern, "TFRecord", "*.tfrecord*")
        ]

    def __str__(self) -> str:
        return self.pattern

    @property
    def segments(self) -> list[Segment]:
        return self._segments


_FEATURES = {
    schema.ITEM_ID: tf.io.RaggedFeature(tf.string),
    schema.EMBEDDING: tf.io.RaggedFeature(tf.float32),
    schema.WEIGHT: tf.io.RaggedFeature(tf.float32),
}


def _read_tfrecord(path: str) -> Iterator[LocatedTable]:
    blocks = iter(tf.data.TFRecordDataset(path, "GZIP" if path.endswith(".gz") else "").batch(BLOCK_ROWS))
    row = 0
    while (parsed := _next_examples(blocks, path, row)) is not None:
        table = _table(parsed, path, row)
        yield LocatedTable(table, (path,), np.array([-row]))
        row += table.num_rows


def _next_examples(blocks: Iterator[tf.Tensor], path: str, row: int) -> dict[str, tf.RaggedTensor] | None:
    try:
        serialized = next(blocks, None)
        return None if serialized is None else tf.io.parse_example(serialized, _FEATURES)
    except tf.errors.OpError as error:
        reason = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]", "", error.message.splitlines()[0]).strip().rstrip(".")
        raise DataError(
            f"{path} cannot be read as TFRecord of tf.Example (item_id bytes, embedding and weight floats) "
            f"from row {row} on: {reason}; write it anew."
        ) from error


def _table(parsed: dict[str, tf.RaggedTensor], path: str, row: int) -> pa.Table:
    embedding = parsed[schema.EMBEDDING]
    found = {
        schema.ITEM_ID: _text(_single(parsed[schema.ITEM_ID], schema.ITEM_ID, path, row), path, row),
        schema.EMBEDDING: pa.ListArray.from_arrays(embedding.row_splits.numpy(), embedding.values.numpy()),
        schema.WEIGHT: _single(parsed[schema.WEIGHT], schema.WEIGHT, path, row)
        .cast(pa.float32())
        .fill_null(1),
    }
    return pa.table(found)


def _text(values: pa.Array, path: str, row: int) -> pa.Array:
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}, from row {row} on: an item_id is no UTF-8; write it as UTF-8.") from error


def _single(feature: tf.RaggedTensor, name: str, path: str, row: int) -> pa.Array:
    """A feature of at most one value; null where a record has none."""
    lengths = feature.row_lengths().numpy()
    if lengths.max(initial=0) > 1:
        wrong = int(np.argmax(lengths > 1))
        raise DataError(f"{path}, row {row + wrong}: {name} has {lengths[wrong]} values; it must have one.")
    values = pa.array(feature.values.numpy())
    return values.take(pa.array(np.cumsum(lengths) - 1, mask=lengths == 0))
