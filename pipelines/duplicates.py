"""One row an item: rows are shuffled by a hash of their item_id, and the first of each item stays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import DoOutputsTuple, PCollection, TaggedOutput

from pipelines.arrow_coder import ZSTD, from_bytes, to_bytes
from pipelines.counting import count_items, count_rejected
from pipelines.hashing import hash_texts
from pipelines.schema import CONTENT, ITEM_ID, ROW, SOURCE, one_array
from pipelines.validation import DUPLICATE_ITEM_ID, reject

#: Number of a shard, and rows of it; as they travel.
Shard = tuple[int, pa.Table]
CodedShard = tuple[int, bytes]


def partition(table: pa.Table, num_shards: int, column: str = ITEM_ID) -> Iterator[Shard]:
    """The rows of a table by shard; all rows with one text in a column go to one shard."""
    yield from divide(table, shards_of(table, num_shards, column), num_shards)


def shards_of(table: pa.Table, num_shards: int, column: str = ITEM_ID) -> np.ndarray:
    """The shard of each row, by a hash of the text in a column: uint64 [n], each in [0, num_shards)."""
    return shards_of_hashes(hash_texts(one_array(table.column(column))), num_shards)


def shards_of_hashes(hashes: np.ndarray, num_shards: int) -> np.ndarray:
    """The same of what `hash_texts` gives."""
    # The upper half: the low bits of FNV-1a mix poorly.
    return (hashes >> np.uint64(32)) % np.uint64(num_shards)


def divide(table: pa.Table, shards: np.ndarray, num_shards: int) -> Iterator[Shard]:
    """The rows of a table by their shard, in their order; shards without rows are left out.

    A table without rows goes to every shard, so that there is something of each.
    """
    if num_shards == 1 or not len(table):
        yield from ((shard, table) for shard in range(num_shards))
        return
    order = np.argsort(shards, kind="stable")
    ends = np.cumsum(np.bincount(shards.astype(np.int64), minlength=num_shards))
    ordered = table.take(pa.array(order))
    start = 0
    for shard, end in enumerate(ends.tolist()):
        if end > start:
            yield shard, ordered.slice(start, end - start)
        start = end


class Deduplicated(NamedTuple):
    """One row an item, and the others.

    Attributes:
        kept: in the order of the item_ids' bytes.
        duplicates: what is left over.
    """

    kept: pa.Table
    duplicates: pa.Table


def keep_first(table: pa.Table) -> Deduplicated:
    """Keeps of each item_id the row that is first by file and row, whatever the order of arrival.

    Rows of a source that does not number them are taken by content: those of one content have the same codes.
    """
    ordered = _sorted(table, [ITEM_ID])
    if _first(ordered).all():
        return Deduplicated(ordered, ordered.slice(0, 0))
    ordered = _sorted(table, [ITEM_ID, SOURCE, ROW, CONTENT])
    first = _first(ordered)
    return Deduplicated(ordered.filter(pa.array(first)), ordered.filter(pa.array(~first)))


def _sorted(table: pa.Table, names: list[str]) -> pa.Table:
    keys = {name: table[name].cast(pa.string()) if name == SOURCE else table[name] for name in names}
    return table.take(pc.sort_indices(pa.table(keys), [(name, "ascending") for name in names]))


def _first(ordered: pa.Table) -> np.ndarray:
    """Whether a row's item_id is another one than that of the row before: bool [n]."""
    item_ids = one_array(ordered.column(ITEM_ID))
    first = np.ones(len(ordered), bool)
    first[1:] = np.asarray(pc.not_equal(item_ids[1:], item_ids[:-1]))
    return first


class KeepFirst(beam.PTransform):
    """(shard, its table) -> the same with one row an item; duplicates leave by their own door."""

    KEPT, DUPLICATES = "kept", "duplicates"

    def expand(self, shards: PCollection[Shard]) -> DoOutputsTuple:
        doors = beam.FlatMap(_counted_doors).with_output_types(Shard, duplicates=pa.Table)
        return shards | "KeepFirst" >> doors.with_outputs(self.DUPLICATES, main=self.KEPT)


def _counted_doors(element: Shard) -> Iterator[Shard | TaggedOutput]:
    for door in doors_of(element):
        if not isinstance(door, TaggedOutput):
            count_items("encoded", len(door[1]))
        yield door


def doors_of(element: Shard) -> Iterator[Shard | TaggedOutput]:
    """What stays of a shard, and what is left over, rejected."""
    shard, table = element
    kept, duplicates = keep_first(table)
    yield shard, kept
    if len(duplicates):
        rejected = reject(duplicates, DUPLICATE_ITEM_ID)
        count_rejected(rejected)
        yield TaggedOutput(KeepFirst.DUPLICATES, rejected)


class CodeParts(beam.PTransform):
    """(shard, table) -> (shard, its bytes), as it is shuffled.

    Args:
        compression: of Arrow; None where columns are as good as random.
    """

    def __init__(self, compression: str | None = ZSTD) -> None:
        super().__init__()
        self._compression = compression

    def expand(self, tables: PCollection[Shard]) -> PCollection[CodedShard]:
        return tables | "ToBytes" >> beam.Map(_coded, self._compression).with_output_types(CodedShard)


def _coded(element: Shard, compression: str | None) -> CodedShard:
    shard, table = element
    return shard, to_bytes(table, compression)


class GroupParts(beam.PTransform):
    """(shard, table) -> (shard, one table). A shard must fit into a worker's memory."""

    def expand(self, tables: PCollection[Shard]) -> PCollection[Shard]:
        return tables | CodeParts() | _GroupCoded()


class GroupShards(beam.PTransform):
    """The same, also for shards that nothing fell into."""

    def __init__(self, schema: pa.Schema, num_shards: int) -> None:
        super().__init__()
        nothing = to_bytes(schema.empty_table())
        self._empty = [(shard, nothing) for shard in range(num_shards)]

    def expand(self, tables: PCollection[Shard]) -> PCollection[Shard]:
        every = tables.pipeline | "EveryShard" >> beam.Create(self._empty).with_output_types(CodedShard)
        return (tables | CodeParts(), every) | "Flatten" >> beam.Flatten() | _GroupCoded()


class _GroupCoded(beam.PTransform):
    def expand(self, parts: PCollection[CodedShard]) -> PCollection[Shard]:
        grouped = parts | "GroupByKey" >> beam.GroupByKey()
        return grouped | "Concat" >> beam.MapTuple(_concat).with_output_types(Shard)


def _concat(shard: int, parts: Iterable[bytes]) -> Shard:
    return shard, pa.concat_tables(map(from_bytes, parts))
