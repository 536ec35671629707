"""What an earlier run encoded: items that are still the same keep their codes and are not encoded again.

An item is unchanged if its content hash is among those of the earlier run (8 bytes an item, once a process).
Its codes come with the shard that it falls into; there the hashes are compared item by item.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import DoOutputsTuple, PCollection, TaggedOutput
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

import semid_tf as sid
from pipelines.codes_files import KIND, paths_of, read_rows, rows_of
from pipelines.counting import count_items
from pipelines.duplicates import Shard
from pipelines.encoding import QuantizerHandler
from pipelines.publishing import open_output
from pipelines.schema import (
    CODES,
    CONTENT,
    EMBEDDING,
    ENCODED_AT,
    ITEM_ID,
    matrix,
    one_array,
    vectors,
)
from pipelines.sources import BATCH_ROWS, open_parquet

_COLUMNS = [ITEM_ID, CODES, ENCODED_AT, CONTENT]


@dataclass(frozen=True)
class Previous:
    """The codes files of an earlier run, on any Beam file system."""

    paths: tuple[str, ...]

    @classmethod
    def of(cls, folder: str, quantizer: sid.SavedQuantizer) -> Previous:
        """The published output of an earlier run with the same quantizer.

        Raises:
            ArtifactError: it is no complete output, or of a version that kept no content hashes.
            ProvenanceError: it is of another quantizer.
        """
        open_output(folder, KIND).require_parent(quantizer.artifact)
        paths = paths_of(folder)
        for path in paths:
            with open_parquet(path) as parquet:
                if CONTENT not in parquet.schema_arrow.names:
                    raise sid.ArtifactError(f"{path} has no column {CONTENT}; run once without it.")
        return cls(paths)


class _Contents:
    """The sorted content hashes, held once a process."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        rows = [table.column(CONTENT).to_numpy() for path in paths for table in read_rows(path, [CONTENT])]
        self.hashes = np.concatenate([np.zeros(0, np.int64), *rows])
        self.hashes.sort()

    def hold(self, content: np.ndarray) -> np.ndarray:
        places = np.searchsorted(self.hashes, content)
        inside = places < len(self.hashes)
        inside[inside] = self.hashes[places[inside]] == content[inside]
        return inside


class SplitUnchanged(beam.PTransform):
    """Valid items -> `changed` (as they are) and `unchanged` (`schema.encoded_schema`, to be filled in)."""

    def __init__(self, previous: Previous, handler: QuantizerHandler) -> None:
        super().__init__()
        self._split = _SplitUnchanged(previous, handler)

    def expand(self, items: PCollection[pa.Table]) -> DoOutputsTuple:
        doors = beam.ParDo(self._split).with_output_types(pa.Table, unchanged=pa.Table)
        return items | "Compare" >> doors.with_outputs("unchanged", main="changed")


class _SplitUnchanged(beam.DoFn):
    def __init__(self, previous: Previous, handler: QuantizerHandler) -> None:
        super().__init__()
        self._previous, self._handler, self._shared = previous, handler, Shared()

    def setup(self) -> None:
        self._contents = self._shared.acquire(lambda: _Contents(self._previous.paths))

    def start_bundle(self) -> None:
        self._changed: list[pa.Table] = []

    def process(self, items: pa.Table) -> Iterator[pa.Table | TaggedOutput]:
        known = self._contents.hold(items.column(CONTENT).to_numpy())
        if known.any():
            # Embeddings of unchanged items are not wanted any more; filtering them would copy them.
            rows = items.drop_columns(EMBEDDING).filter(pa.array(known))
            yield TaggedOutput("unchanged", self._handler.unchanged(rows))
        # A model is slow on the few changed items of one table: they are gathered.
        self._changed.append(items.take(pa.array(np.flatnonzero(~known))))
        if sum(map(len, self._changed)) >= BATCH_ROWS:
            yield self._take_changed()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        changed = self._take_changed() if self._changed else ()
        if len(changed):
            yield GlobalWindows.windowed_value(changed)

    def _take_changed(self) -> pa.Table:
        changed = pa.concat_tables(self._changed).unify_dictionaries()
        self._changed = []
        return changed


class CarryOver(beam.PTransform):
    """(shard, table of `schema.encoded_schema`) -> the same with the codes of unchanged items filled in.

    A shard reads the parts of the earlier run that its items can be in: one, where both have equally many.
    """

    def __init__(self, previous: Previous, num_shards: int) -> None:
        super().__init__()
        self._previous = previous
        self._num_shards = num_shards

    def expand(self, shards: PCollection[Shard]) -> PCollection[Shard]:
        carry = beam.Map(carry_over, self._previous, self._num_shards)
        return shards | "FillIn" >> carry.with_output_types(Shard)


def carry_over(element: Shard, previous: Previous, num_shards: int) -> Shard:
    """One shard of `CarryOver`."""
    shard, now = element
    return shard, fill_in(now, pa.concat_tables(rows_of(previous.paths, shard, num_shards, _COLUMNS)))


def fill_in(now: pa.Table, before: pa.Table) -> pa.Table:
    """Gives the unchanged items of `now` (`encoded_at` is null) their codes and times of `before`.

    Raises:
        RuntimeError: an item that was taken for unchanged is another one; this fails the job.
    """
    rows = pc.index_in(now.column(ITEM_ID), one_array(before.column(ITEM_ID)))
    carried = np.asarray(now.column(ENCODED_AT).is_null())
    _count(rows, carried, len(before))
    if not carried.any():
        return now
    old = before.take(rows.filter(pa.array(carried)))
    if not old.column(CONTENT).equals(now.column(CONTENT).filter(pa.array(carried))):
        raise RuntimeError("an item has the content hash of another one; run without the previous output.")
    codes = matrix(now.column(CODES)).copy()
    codes[carried] = one_array(old.column(CODES)).flatten().to_numpy().reshape(-1, codes.shape[1])
    times = pc.replace_with_mask(
        one_array(now.column(ENCODED_AT)),
        pa.array(carried),
        one_array(old.column(ENCODED_AT)).cast(now.schema.field(ENCODED_AT).type),
    )
    filled = {CODES: vectors(codes), ENCODED_AT: times}
    columns = [filled.get(name, now.column(name)) for name in now.column_names]
    return pa.table(columns, schema=now.schema)


def _count(rows: pa.ChunkedArray, carried: np.ndarray, before: int) -> None:
    known = len(rows) - rows.null_count
    count_items("changed", known - int(carried.sum()))
    count_items("deleted", before - known)
