"""Files for an unbounded source: what leaves `EncodeStream`, window by window."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import PCollection

from pipelines.duplicates import GroupParts, Shard, partition
from pipelines.sinks import rejected_file, write_whole
from pipelines.transforms import ENCODED, REJECTED_DOOR, by_row


class WriteStreamDoors(beam.PTransform):
    """Writes what `EncodeStream` gives into `codes/` and `rejected/` of a folder, as Parquet.

    A window's files, `<start in UTC>-<pane>-part-00000-of-0000N.parquet`, appear when the watermark passes
    its end, where there is something for them; late items make further panes.

    Args:
        folder: on any Beam file system.
        num_shards: files of a window and door, at most; the rows of one must fit into a worker's memory.
    """

    def __init__(self, folder: str, num_shards: int = 1) -> None:
        super().__init__()
        self._folder, self._num_shards = folder, num_shards

    def expand(self, doors: dict[str, PCollection]) -> None:
        codes = beam.FlatMap(partition, self._num_shards).with_output_types(Shard)
        rejected = beam.FlatMap(by_row, self._num_shards).with_output_types(Shard)
        doors[ENCODED] | "ShardCodes" >> codes | "WriteCodes" >> self._write(ENCODED)
        (
            doors[REJECTED_DOOR]
            | "RejectedFile" >> beam.Map(rejected_file)
            | "ShardRejected" >> rejected
            | "WriteRejected" >> self._write(REJECTED_DOOR)
        )

    def _write(self, door: str) -> beam.PTransform:
        return _WriteWindows(FileSystems.join(self._folder, door), self._num_shards)


class _WriteWindows(beam.PTransform):
    def __init__(self, folder: str, num_shards: int) -> None:
        super().__init__()
        self._folder, self._num_shards = folder, num_shards

    def expand(self, shards: PCollection[Shard]) -> Any:
        return shards | GroupParts() | "Write" >> beam.ParDo(_WriteWindow(self._folder, self._num_shards))


class _WriteWindow(beam.DoFn):
    def __init__(self, folder: str, num_shards: int) -> None:
        super().__init__()
        self._folder, self._num_shards = folder, num_shards

    def process(
        self, element: Shard, window: Any = beam.DoFn.WindowParam, pane: Any = beam.DoFn.PaneInfoParam
    ) -> None:
        shard, table = element
        start = window.start.to_utc_datetime().strftime("%Y%m%dT%H%M%S.%f")
        name = f"{start}-{pane.index}-part-{shard:05d}-of-{self._num_shards:05d}.parquet"
        write_whole(table, FileSystems.join(self._folder, name), "parquet")
