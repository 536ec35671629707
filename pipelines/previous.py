"""What an earlier run encoded: items that are still the same keep their codes and are not encoded again.

An item is unchanged if its content hash is among those of the earlier run (8 bytes an item, once a process).
Of such an item only hashes travel (`schema.UNCHANGED`). Its row of the earlier run comes with the shard that
it falls into; there the hashes are compared item by item.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import DoOutputsTuple, PCollection, TaggedOutput
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

import semid_tf as sid
from pipelines.arrow_coder import from_bytes
from pipelines.codes_files import KIND, paths_of, read_rows, rows_of
from pipelines.counting import count_items
from pipelines.duplicates import CodeParts, KeepFirst, Shard, divide, doors_of, partition, shards_of_hashes
from pipelines.encoding import QuantizerHandler
from pipelines.hashing import hash_texts
from pipelines.publishing import open_output
from pipelines.schema import (
    CODES,
    CONTENT,
    EMBEDDING,
    ENCODED_AT,
    ITEM_HASH,
    ITEM_ID,
    ROW,
    SOURCE,
    UNCHANGED,
    labels,
    one_array,
    vectors,
)
from pipelines.sorted_hashes import SortedHashes
from pipelines.sources import BATCH_ROWS, open_parquet

_COLUMNS = [ITEM_ID, CODES, ENCODED_AT, CONTENT]
_ROWS_A_SHUFFLE = 16 * BATCH_ROWS


@dataclass(frozen=True)
class Previous:
    """The codes files of an earlier run, on any Beam file system."""

    paths: tuple[str, ...]

    @classmethod
    def of(cls, folder: str, quantizer: sid.SavedQuantizer) -> Previous:
        """The published output of an earlier run with the same quantizer.

        Raises:
            ArtifactError: it is no complete output, or of a version that kept no content hashes.
            ProvenanceError: it is of another quantizer, or has collision tokens.
        """
        output = open_output(folder, KIND)
        output.require_parent(quantizer.artifact)
        if (levels := output.manifest.config["num_levels"]) != quantizer.code_space.num_levels:
            raise sid.ProvenanceError(
                f"{folder} has {levels} codes an item, {quantizer.code_space.num_levels} are needed; give "
                "the output of pipelines.encode, without collision tokens."
            )
        paths = paths_of(folder)
        for path in paths:
            with open_parquet(path) as parquet:
                if CONTENT not in parquet.schema_arrow.names:
                    raise sid.ArtifactError(f"{path} has no column {CONTENT}; run once without it.")
        return cls(paths)


def _contents(paths: tuple[str, ...]) -> SortedHashes:
    """The content hashes, held once a process."""
    rows = [table.column(CONTENT).to_numpy() for path in paths for table in read_rows(path, [CONTENT])]
    hashes = np.concatenate([np.zeros(0, np.int64), *rows]).view(np.uint64)
    hashes.sort()
    return SortedHashes(hashes)


class EncodeChanged(beam.PTransform):
    """Valid items, a table without rows among them -> the doors of `KeepFirst`, each shard a table of
    `schema.encoded_schema`. Only changed items are encoded, the others are carried over.

    A shard reads the parts of the earlier run that its items can be in: one, where both have equally many.
    """

    def __init__(self, previous: Previous, handler: QuantizerHandler, num_shards: int) -> None:
        super().__init__()
        self._previous, self._handler, self._num_shards = previous, handler, num_shards

    def expand(self, items: PCollection[pa.Table]) -> DoOutputsTuple:
        compare = beam.ParDo(_SplitUnchanged(self._previous, self._num_shards))
        compare = compare.with_output_types(pa.Table, unchanged=Shard)
        known = items | "Compare" >> compare.with_outputs("unchanged", main="changed")
        encoded = (
            known.changed
            | "RunInference" >> RunInference(self._handler).with_output_types(pa.Table)
            | "Partition" >> beam.FlatMap(partition, self._num_shards).with_output_types(Shard)
            | "CodeChanged" >> CodeParts()
        )
        carry = _CarryOver(self._previous, self._handler, self._num_shards)
        doors = beam.FlatMapTuple(carry.doors_of).with_output_types(Shard, duplicates=pa.Table)
        return (
            (encoded, known.unchanged | "CodeUnchanged" >> CodeParts(None))
            | "Flatten" >> beam.Flatten()
            | "GroupByShard" >> beam.GroupByKey()
            | "CarryOver" >> doors.with_outputs(KeepFirst.DUPLICATES, main=KeepFirst.KEPT)
        )


class _SplitUnchanged(beam.DoFn):
    def __init__(self, previous: Previous, num_shards: int) -> None:
        super().__init__()
        self._previous, self._num_shards, self._shared = previous, num_shards, Shared()

    def setup(self) -> None:
        self._contents = self._shared.acquire(lambda: _contents(self._previous.paths))

    def start_bundle(self) -> None:
        # A model is slow on the few changed items of one table, and Beam on many small shards.
        self._changed, self._same = _Gathered(BATCH_ROWS), _Gathered(_ROWS_A_SHUFFLE)

    def process(self, items: pa.Table) -> Iterator[pa.Table | TaggedOutput]:
        if not len(items):  # something of each shard
            yield from self._unchanged(items)
            return
        known = self._contents.places(items.column(CONTENT).to_numpy().view(np.uint64)) >= 0
        if self._same.add(items.drop_columns(EMBEDDING), known):
            yield from self._unchanged(self._same.take())
        if self._changed.add(items, ~known):
            yield self._changed.take()

    def finish_bundle(self) -> Iterator[WindowedValue | TaggedOutput]:
        if self._same.rows:
            for shard in self._unchanged(self._same.take()):
                yield TaggedOutput(shard.tag, GlobalWindows.windowed_value(shard.value))
        if self._changed.rows:
            yield GlobalWindows.windowed_value(self._changed.take())

    def _unchanged(self, items: pa.Table) -> Iterator[TaggedOutput]:
        return (TaggedOutput("unchanged", shard) for shard in _keys_by_shard(items, self._num_shards))


class _Gathered:
    """Rows of several tables until there are so many."""

    def __init__(self, enough: int) -> None:
        self._enough, self._tables, self.rows = enough, list[pa.Table](), 0

    def add(self, table: pa.Table, which: np.ndarray) -> bool:
        """Adds some rows; whether there are enough."""
        self._tables.append(table if which.all() else table.filter(pa.array(which)))
        self.rows += len(self._tables[-1])
        return self.rows >= self._enough

    def take(self) -> pa.Table:
        """All of them; then there is none."""
        table, self._tables, self.rows = pa.concat_tables(self._tables).unify_dictionaries(), [], 0
        return table


def _keys_by_shard(items: pa.Table, num_shards: int) -> Iterator[Shard]:
    """Items, which need no embedding any more, as `schema.UNCHANGED`."""
    hashes = hash_texts(one_array(items.column(ITEM_ID)))
    columns = [pa.array(hashes), *(items.column(name) for name in (CONTENT, SOURCE, ROW))]
    return divide(pa.table(columns, schema=UNCHANGED), shards_of_hashes(hashes, num_shards), num_shards)


class _CarryOver:
    """Puts shards together from encoded items and the rows that unchanged ones have in the earlier run."""

    def __init__(self, previous: Previous, handler: QuantizerHandler, num_shards: int) -> None:
        self._previous, self._num_shards = previous, num_shards
        self._fingerprint, self._schema = handler.fingerprint, handler.schema

    def doors_of(self, shard: int, coded: Iterable[bytes]) -> Iterator[Shard | TaggedOutput]:
        """As `duplicates.doors_of`."""
        parts: dict[bool, list[pa.Table]] = {
            True: [UNCHANGED.empty_table()],
            False: [self._schema.empty_table()],
        }
        for table in map(from_bytes, coded):
            parts[ITEM_HASH in table.column_names].append(table)
        before = pa.concat_tables(rows_of(self._previous.paths, shard, self._num_shards, _COLUMNS))
        hashes = hash_texts(one_array(before.column(ITEM_ID)))
        keys, encoded = pa.concat_tables(parts[True]), pa.concat_tables(parts[False])
        carried = carried_rows(keys, before, hashes, self._fingerprint, self._schema)
        for door in doors_of((shard, pa.concat_tables([carried, encoded]))):
            if not isinstance(door, TaggedOutput):
                _count(door[1], encoded, hashes)
            yield door


def carried_rows(
    keys: pa.Table, before: pa.Table, hashes: np.ndarray, fingerprint: str, schema: pa.Schema
) -> pa.Table:
    """Unchanged items with what they had in the earlier run.

    Args:
        keys: `schema.UNCHANGED`.
        before: `item_id`, `codes`, `encoded_at` and `content` of the earlier run.
        hashes: uint64 [len(before)], of its item_ids.
        fingerprint: of the quantizer.
        schema: of the result, `schema.encoded_schema`.

    Returns:
        The items, row for row.

    Raises:
        DataError: an item that was taken for unchanged is another one; this fails the job.
    """
    rows = _rows_before(keys, before, hashes)
    kind = schema.field(CODES).type
    numbers = one_array(before.column(CODES)).flatten().cast(kind.value_type).to_numpy()
    codes = numbers.reshape(-1, kind.list_size)[rows]
    item_ids, times = (before.column(name).take(pa.array(rows)) for name in (ITEM_ID, ENCODED_AT))
    made = [labels(fingerprint, len(keys)), times, keys.column(CONTENT)]
    return pa.table([item_ids, vectors(codes), *made, keys.column(SOURCE), keys.column(ROW)], schema=schema)


def _rows_before(keys: pa.Table, before: pa.Table, hashes: np.ndarray) -> np.ndarray:
    """int64 [len(keys)], the row of each."""
    item, content = (keys.column(name).to_numpy() for name in (ITEM_HASH, CONTENT))
    contents = before.column(CONTENT).to_numpy()
    order = np.argsort(hashes)
    places = SortedHashes(hashes[order]).places(item)
    rows, wrong = np.append(order, 0)[places], places < 0
    wrong[~wrong] = contents[rows[~wrong]] != content[~wrong]
    for place in np.flatnonzero(wrong):  # two item_ids with one hash, or a content hash with two items
        same = np.flatnonzero((hashes == item[place]) & (contents == content[place]))
        if not len(same):
            raise sid.DataError(
                "an item has the content hash of another one; run without the previous output."
            )
        rows[place] = same[0]
    return rows


def _count(kept: pa.Table, encoded: pa.Table, before: np.ndarray) -> None:
    """Counts items that were encoded, are there as before or changed, and those that are gone."""
    times = one_array(encoded.column(ENCODED_AT)).unique()
    anew = kept.filter(pc.is_in(kept.column(ENCODED_AT), times))
    hashes = pa.array(hash_texts(one_array(anew.column(ITEM_ID))))
    changed = pc.sum(pc.is_in(pa.array(before), hashes)).as_py() or 0
    unchanged = len(kept) - len(anew)
    for name, count in (("encoded", len(anew)), ("unchanged", unchanged), ("changed", changed)):
        count_items(name, count)
    count_items("deleted", len(before) - unchanged - changed)
