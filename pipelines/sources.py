"""Items from files, as whole Arrow tables that know where their rows come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io import fileio
from apache_beam.io.filesystem import CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import PBegin, PCollection

from pipelines import arrow_coder  # noqa: F401 - registers the coder of pa.Table
from pipelines.ahead import ahead
from pipelines.formats import format_of, read_whole
from pipelines.plain_pages import plain_vectors
from pipelines.schema import EMBEDDING, ITEM_ID, ROW, SOURCE, labels, one_array, vectors

BATCH_ROWS = 4096


@dataclass(frozen=True)
class RowGroup:
    """A piece of a file that one worker reads: of Parquet a row group, of other formats the whole.

    Attributes:
        path: of the file, on any Beam file system.
        index: of the row group in the file.
        first_row: rows of the file before it.
    """

    path: str
    index: int
    first_row: int


_NO_ROWS = RowGroup("", 0, 0)
_NO_IDS, _NO_EMBEDDINGS = pa.array([], pa.string()), pa.array([], pa.list_(pa.float32()))


class ReadRowGroups(beam.PTransform):
    """Reads files row group by row group.

    Only descriptions of row groups are shuffled, never rows, so that workers share big files.

    Args:
        pattern: of the files, on any Beam file system.
        read: the tables of a row group.
    """

    def __init__(self, pattern: str, read: Callable[[RowGroup], Iterable[pa.Table]]) -> None:
        super().__init__()
        self._pattern, self._read = pattern, read

    def expand(self, pbegin: PBegin) -> PCollection[pa.Table]:
        return (
            self._row_groups(pbegin)
            | "SpreadRowGroups" >> beam.Reshuffle()
            | "ReadRowGroups" >> beam.FlatMap(self._read).with_output_types(pa.Table)
        )

    def _row_groups(self, pbegin: PBegin) -> PCollection[RowGroup]:
        return (
            pbegin
            | "MatchFiles" >> fileio.MatchFiles(self._pattern, fileio.EmptyMatchTreatment.DISALLOW)
            | "ListRowGroups" >> beam.FlatMap(_row_groups_of).with_output_types(RowGroup)
        )


class ReadItems(ReadRowGroups):
    """Reads `item_id` and `embedding` from files; adds `source` (the file) and `row` (in it, from 0).

    One more table without rows comes along, from which every shard gets its share: none of them is missed
    for want of items.

    Args:
        pattern: of the files (Parquet or one of `formats`), on any Beam file system.
    """

    def __init__(self, pattern: str) -> None:
        super().__init__(pattern, read_row_group)

    def _row_groups(self, pbegin: PBegin) -> PCollection[RowGroup]:
        nothing = pbegin | "NoRows" >> beam.Create([_NO_ROWS]).with_output_types(RowGroup)
        return (super()._row_groups(pbegin), nothing) | "FlattenRowGroups" >> beam.Flatten()


@contextmanager
def open_parquet(path: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file on any Beam file system."""
    with _open_bytes(path) as file, pq.ParquetFile(file) as parquet:
        yield parquet


@contextmanager
def _open_bytes(path: str) -> Iterator[pa.NativeFile]:
    """A file on any Beam file system; a local one is mapped by Arrow itself, at half the cost."""
    if not FileSystems.get_scheme(path):
        with pa.memory_map(path) as file:
            yield file
        return
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        yield pa.PythonFile(file, "r")


def _row_groups_of(file: FileMetadata) -> list[RowGroup]:
    return row_groups(file.path)


def row_groups(path: str) -> list[RowGroup]:
    """The row groups of a Parquet file, from its footer alone; a file of another format is one."""
    if format_of(path):
        return [RowGroup(path, 0, 0)]
    with open_parquet(path) as parquet:
        rows = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
    firsts = np.cumsum([0, *rows]).tolist()
    return [RowGroup(path, index, firsts[index]) for index in range(len(rows))]


def read_row_group(group: RowGroup) -> Iterator[pa.Table]:
    """The items of a row group, at most `BATCH_ROWS` a table.

    Raises:
        OSError: the data are damaged; this fails the job.
    """
    if group == _NO_ROWS:
        yield with_origin(pa.record_batch({ITEM_ID: _NO_IDS, EMBEDDING: _NO_EMBEDDINGS}), "", 0)
        return
    first_row, kind = group.first_row, format_of(group.path)
    for batch in ahead(read_whole(group.path, kind) if kind else _batches(group)):
        yield with_origin(batch, group.path, first_row)
        first_row += batch.num_rows


def _batches(group: RowGroup) -> Iterator[pa.RecordBatch]:
    try:
        with _open_bytes(group.path) as file, pq.ParquetFile(file) as parquet:
            done = 0
            for batch in _plain_batches(parquet, file, group.index):
                yield batch
                done += batch.num_rows
            if done < parquet.metadata.row_group(group.index).num_rows:
                yield from _arrow_batches(parquet, group.index, done)
    except (pa.ArrowException, OSError) as error:
        raise OSError(
            f"{group.path}: row group {group.index} cannot be read ({error}); write it anew."
        ) from error


def _plain_batches(parquet: pq.ParquetFile, file: pa.NativeFile, group: int) -> Iterator[pa.RecordBatch]:
    """The first rows, as far as `plain_pages` reads them."""
    item_ids, start = None, 0
    for matrix in plain_vectors(parquet, file, group, EMBEDDING, BATCH_ROWS):
        if item_ids is None:
            item_ids = one_array(parquet.read_row_group(group, [ITEM_ID], use_threads=False)[ITEM_ID])
        columns = {ITEM_ID: item_ids[start : start + len(matrix)], EMBEDDING: vectors(matrix)}
        yield pa.record_batch(columns)
        start += len(matrix)


def _arrow_batches(parquet: pq.ParquetFile, group: int, skipped: int) -> Iterator[pa.RecordBatch]:
    """The other rows."""
    for batch in parquet.iter_batches(BATCH_ROWS, [group], [ITEM_ID, EMBEDDING], use_threads=False):
        if skipped < batch.num_rows:
            yield batch.slice(skipped)
        skipped = max(0, skipped - batch.num_rows)


def with_origin(batch: pa.RecordBatch, source: str, first_row: int) -> pa.Table:
    """Item ids and embeddings of a batch, with the file and the rows that they stand in."""
    rows = np.arange(first_row, first_row + batch.num_rows)
    columns = {
        ITEM_ID: batch.column(ITEM_ID),
        EMBEDDING: batch.column(EMBEDDING),
        SOURCE: labels(source, batch.num_rows),
        ROW: pa.array(rows),
    }
    return pa.table(columns)
