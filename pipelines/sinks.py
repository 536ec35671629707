"""Tables to parts: one file a shard, the same bytes on every run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipelines.pieces import Tokenizers
from pipelines.schema import (
    CODES,
    CONTENT,
    ENCODED_AT,
    ITEM_ID,
    QUANTIZER,
    REJECTED_FILE,
    ROW,
    SEMANTIC_ID,
    SOURCE,
    codes_schema,
    matrix,
    vectors,
)
from pipelines.writers import WRITERS

_ATTEMPT = ".attempt-"
_SLICE_ROWS = 32_768


def part_path(folder: str, part: int, num_parts: int, ending: str = "parquet") -> str:
    """Where a part lies.

    >>> part_path("out/codes", 3, 12)
    'out/codes/part-00003-of-00012.parquet'
    """
    return FileSystems.join(folder, f"part-{part:05d}-of-{num_parts:05d}.{ending}")


def codes_file(encoded: pa.Table, tokenizers: Tokenizers | None = None) -> pa.Table:
    """Encoded items as they stand in the file (`schema.codes_schema`), made slice by slice: what that takes
    on the way stays small."""
    starts = range(0, max(len(encoded), 1), _SLICE_ROWS)
    return pa.concat_tables([_codes_rows(encoded.slice(start, _SLICE_ROWS), tokenizers) for start in starts])


def _codes_rows(encoded: pa.Table, tokenizers: Tokenizers | None) -> pa.Table:
    codes = matrix(encoded.column(CODES)).astype(np.int32)
    columns = {
        ITEM_ID: encoded.column(ITEM_ID),
        CODES: vectors(codes),
        SEMANTIC_ID: semantic_ids(codes),
        QUANTIZER: encoded.column(QUANTIZER),
        ENCODED_AT: encoded.column(ENCODED_AT),
        CONTENT: encoded.column(CONTENT),
    }
    pieces = tokenizers.encode(codes) if tokenizers else {}
    return pa.table(columns | pieces).cast(codes_schema(list(pieces)))


def semantic_ids(codes: np.ndarray) -> pa.Array:
    """The text forms of codes, int32 [n, num_levels], coarsest first.

    >>> semantic_ids(np.array([[12, 7, 255]], np.int32)).to_pylist()
    ['12-7-255']
    """
    numbers = pa.array(codes.ravel()).dictionary_encode()  # each code becomes text once
    texts = numbers.dictionary.cast(pa.string()).take(numbers.indices)
    ends = np.arange(0, codes.size + 1, codes.shape[1], dtype=np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(ends), texts), "-")


def rejected_file(rejected: pa.Table) -> pa.Table:
    """Rejected rows as they stand in the file (`schema.REJECTED_FILE`), by file and row."""
    return rejected.cast(REJECTED_FILE).sort_by([(SOURCE, "ascending"), (ROW, "ascending")])


def write_whole(table: pa.Table, path: str, kind: str) -> None:
    """Writes a file, one of `WRITERS`, beside its place and renames it: a repeated attempt does no harm."""
    folder, _ = FileSystems.split(path)
    attempt = FileSystems.join(folder, f"{_ATTEMPT}{uuid.uuid4().hex}")
    with FileSystems.create(attempt, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        WRITERS[kind](table, file)
    FileSystems.rename([attempt], [path])


class WritePart(beam.DoFn):
    """Writes each (part, table) to its file, in another thread, while the next one comes.

    Args:
        folders: kind of file, one of `WRITERS` -> folder that the parts go into once more; it exists.
        num_parts: of the whole.
        rows_of: makes of a table, in that thread too, what is written; None = it is written as it is.
    """

    def __init__(
        self,
        folders: Mapping[str, str],
        num_parts: int,
        rows_of: Callable[[pa.Table], pa.Table] | None = None,
    ) -> None:
        super().__init__()
        self._folders, self._num_parts, self._rows_of = folders, num_parts, rows_of

    def setup(self) -> None:
        self._thread = ThreadPoolExecutor(1, "write")

    def start_bundle(self) -> None:
        self._writing: Future[None] | None = None

    def process(self, element: tuple[int, pa.Table]) -> None:
        """Begins to write one part, once the one before is written."""
        self.finish_bundle()
        self._writing = self._thread.submit(self._write, *element)

    def _write(self, part: int, table: pa.Table) -> None:
        rows = self._rows_of(table) if self._rows_of else table
        for kind, folder in self._folders.items():
            write_whole(rows, part_path(folder, part, self._num_parts, kind), kind)

    def finish_bundle(self) -> None:
        """Waits for the last part, and raises what went wrong."""
        if self._writing:
            self._writing.result()

    def teardown(self) -> None:
        self._thread.shutdown()


def remove_attempts(output: str) -> None:
    """Clears the tables of an output of what workers that died left half written."""
    (found,) = FileSystems.match([FileSystems.join(output, "*", f"{_ATTEMPT}*")])
    if found.metadata_list:
        FileSystems.delete([file.path for file in found.metadata_list])
