"""The encode job, put together from its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import RunInference
from apache_beam.ml.inference.utils import WatchFilePattern
from apache_beam.pvalue import DoOutputsTuple, PCollection, TaggedOutput

from pipelines.counting import count_items, count_rejected
from pipelines.duplicates import GroupParts, KeepFirst, Shard, divide, partition
from pipelines.encoding import QuantizerHandler
from pipelines.pieces import Tokenizers
from pipelines.previous import EncodeChanged, Previous
from pipelines.schema import ROW
from pipelines.sinks import WritePart, codes_file, rejected_file
from pipelines.validation import split

#: Names of the two doors, and of the folders behind them.
ENCODED, REJECTED_DOOR = "codes", "rejected"


class EncodeItems(beam.PTransform):
    """Tables of items with their origin, one without rows among them -> two doors, by name.

    `codes` has every (shard, table of `schema.encoded_schema`), one row an item_id; `rejected` has tables of
    `schema.REJECTED`.

    Args:
        handler: runs the quantizer.
        embedding_dim: of the quantizer.
        num_shards: of the encoded items.
        previous: earlier output; its unchanged items are carried over, all others are encoded.
    """

    def __init__(
        self,
        handler: QuantizerHandler,
        embedding_dim: int,
        num_shards: int,
        previous: Previous | None = None,
    ) -> None:
        super().__init__()
        self._previous = previous
        self._handler = handler
        self._embedding_dim = embedding_dim
        self._num_shards = num_shards

    def expand(self, items: PCollection[pa.Table]) -> dict[str, PCollection]:
        checked = items | "Validate" >> Validate(self._embedding_dim)
        unique = self._first_of_each(checked.valid)
        rejected = (checked.rejected, unique.duplicates) | "FlattenRejected" >> beam.Flatten()
        return {ENCODED: unique.kept, REJECTED_DOOR: rejected}

    def _first_of_each(self, valid: PCollection[pa.Table]) -> DoOutputsTuple:
        if self._previous:
            return valid | "EncodeChanged" >> EncodeChanged(self._previous, self._handler, self._num_shards)
        inference = RunInference(self._handler).with_output_types(pa.Table)
        encoded = valid | "RunInference" >> inference
        parts = encoded | "Partition" >> beam.FlatMap(partition, self._num_shards).with_output_types(Shard)
        return parts | "GroupByShard" >> GroupParts() | "Deduplicate" >> KeepFirst()


class EncodeStream(beam.PTransform):
    """The same for an unbounded source: tables leave at once, by name.

    `codes` has tables of `schema.CODES_FILE`, `rejected` of `schema.REJECTED`. An item that comes again is
    encoded again; the window and the time of its table stay.

    Args:
        handler: runs the quantizer; without `encoded_at`.
        embedding_dim: of the quantizer.
        tokenizers: give columns of piece ids.
        model_updates: manifests of newer quantizers, such as `watch_quantizers` finds; tables that come after
            one are encoded by its quantizer, and their rows say so.
    """

    def __init__(
        self,
        handler: QuantizerHandler,
        embedding_dim: int,
        tokenizers: Tokenizers | None = None,
        model_updates: Any = None,  # a PCollection of ModelMetadata
    ) -> None:
        super().__init__()
        self._handler = handler.for_embeddings(embedding_dim)
        self._embedding_dim = embedding_dim
        self._tokenizers = tokenizers
        self._model_updates = model_updates

    def expand(self, items: PCollection[pa.Table]) -> dict[str, PCollection]:
        checked = items | "Validate" >> Validate(self._embedding_dim)
        inference = RunInference(self._handler, model_metadata_pcoll=self._model_updates)
        encoded = checked.valid | "RunInference" >> inference.with_output_types(pa.Table)
        codes_rows = beam.Map(codes_file, self._tokenizers).with_output_types(pa.Table)
        return {ENCODED: encoded | "CodesFile" >> codes_rows, REJECTED_DOOR: checked.rejected}


def watch_quantizers(folder: str, interval_s: float = 60) -> WatchFilePattern:
    """Finds quantizers that are published into a folder, `<folder>/<name>/`, while a streaming job runs.

    One must be there when the job starts.

    Args:
        folder: on any Beam file system.
        interval_s: seconds between two looks.
    """
    return WatchFilePattern(FileSystems.join(folder, "*", "manifest.json"), interval_s)


class Validate(beam.PTransform):
    """Tables of items -> `valid` (`schema.valid_schema`) and `rejected` (`schema.REJECTED`)."""

    def __init__(self, embedding_dim: int) -> None:
        super().__init__()
        self._embedding_dim = embedding_dim

    def expand(self, items: PCollection[pa.Table]) -> DoOutputsTuple:
        doors = beam.FlatMap(_split, self._embedding_dim).with_output_types(pa.Table, rejected=pa.Table)
        return items | "Split" >> doors.with_outputs("rejected", main="valid")


def _split(items: pa.Table, embedding_dim: int) -> Iterator[pa.Table | TaggedOutput]:
    count_items("input", len(items))
    valid, rejected = split(items, embedding_dim)
    if len(valid) or not len(items):
        yield valid
    if len(rejected) or not len(items):
        count_rejected(rejected)
        yield TaggedOutput("rejected", rejected)


class WriteDoors(beam.PTransform):
    """Writes what `EncodeItems` gives into sub-folders of a folder: `codes` and `rejected` as Parquet, and
    the codes once more as `codes_<format>` for each further format.

    Args:
        folder: has these sub-folders.
        num_shards: files of each.
        tokenizers: give columns of piece ids.
        formats: further ones, of `WRITERS`.
    """

    def __init__(
        self, folder: str, num_shards: int, tokenizers: Tokenizers | None = None, formats: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self._folder = folder
        self._num_shards = num_shards
        self._tokenizers = tokenizers
        self._formats = formats

    def expand(self, doors: dict[str, PCollection]) -> None:
        places = {"parquet": ENCODED} | {kind: f"{ENCODED}_{kind}" for kind in self._formats}
        rows_of = partial(codes_file, tokenizers=self._tokenizers)
        doors[ENCODED] | "WriteCodes" >> self._write(places, rows_of)
        (
            doors[REJECTED_DOOR]
            | "SpreadRejected" >> beam.FlatMap(by_row, self._num_shards).with_output_types(Shard)
            | "GroupRejected" >> GroupParts()
            | "WriteRejected" >> self._write({"parquet": REJECTED_DOOR}, rejected_file)
        )

    def _write(self, places: Mapping[str, str], rows_of: Callable[[pa.Table], pa.Table]) -> beam.ParDo:
        folders = {kind: FileSystems.join(self._folder, place) for kind, place in places.items()}
        return beam.ParDo(WritePart(folders, self._num_shards, rows_of))


def by_row(rejected: pa.Table, num_shards: int) -> Iterator[Shard]:
    """Rejected rows by shard: they may have no item_id."""
    return divide(rejected, rejected.column(ROW).to_numpy() % num_shards, num_shards)
