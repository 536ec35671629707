"""Item files other than Parquet: JSON lines, CSV, Avro, TFRecord of tf.Example.

A value that is no number counts as NaN, so that it costs its row and not the file.

One worker reads such a file from front to back, and it is read once more before the job, to be checked and
counted; for big catalogues Parquet is the better choice.
"""

from __future__ import annotations

import gzip
import io
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple

import fastavro
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from pipelines.schema import EMBEDDING, ITEM_ID

_VECTORS = pa.list_(pa.float64())
_BATCH_ROWS = 4096
_CSV_BLOCK = 1 << 25
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


class Format(NamedTuple):
    """A kind of item file.

    Attributes:
        name: for people.
        batches: path -> batches with the columns `item_id` and `embedding`.
    """

    name: str
    batches: Callable[[str], Iterator[pa.RecordBatch]]


def format_of(path: str) -> Format | None:
    """The format that a file's name says, with or without `.gz` behind it; None = Parquet.

    >>> format_of("items-3.jsonl.gz").name
    'JSON lines'
    """
    return _FORMATS.get(path.removesuffix(".gz").rpartition(".")[2].lower())


@contextmanager
def _open(path: str) -> Iterator[Any]:
    """A file on any Beam file system; unlike Beam's own, it refuses a truncated `.gz`."""
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        yield gzip.GzipFile(fileobj=file) if path.endswith(".gz") else file


def _json_lines(path: str) -> Iterator[pa.RecordBatch]:
    with _open(path) as file:
        lines = (line for line in iter(file.readline, b"") if line.strip())
        while block := b"".join(islice(lines, _BATCH_ROWS)):
            # Not cut into blocks: a line must not straddle two.
            whole = pyarrow.json.ReadOptions(block_size=len(block) + 1)
            try:
                table = pyarrow.json.read_json(io.BytesIO(block), whole)
            except pa.ArrowInvalid:  # perhaps for one row's sake
                yield _line_by_line(block)
            else:
                item_ids, embeddings = _column(table, ITEM_ID), _column(table, EMBEDDING)
                # Arrow takes texts for times if all of them look like dates.
                is_time = pa.types.is_temporal(item_ids.type)
                yield _line_by_line(block) if is_time else _batch(item_ids, embeddings)


def _line_by_line(block: bytes) -> pa.RecordBatch:
    """What Arrow refuses since one row has another type than those before it."""
    rows = [json.loads(line) for line in block.splitlines() if line.strip()]
    item_ids = [row.get(ITEM_ID) for row in rows]
    texts = [None if item_id is None else str(item_id) for item_id in item_ids]
    vectors = pa.array([_numbers(row.get(EMBEDDING)) for row in rows], _VECTORS)
    return _batch(pa.array(texts, pa.string()), vectors)


def _numbers(vector: Any) -> list[float] | None:
    """What is no number is NaN, and what is no list has no numbers."""
    if not isinstance(vector, list):
        return None if vector is None else []
    return [float(value) if isinstance(value, int | float) else math.nan for value in vector]


def _column(table: pa.Table, name: str) -> pa.Array:
    return table[name].combine_chunks() if name in table.column_names else pa.nulls(len(table))


def _csv(path: str) -> Iterator[pa.RecordBatch]:
    texts = {ITEM_ID: pa.string(), EMBEDDING: pa.string()}
    convert = pyarrow.csv.ConvertOptions(
        column_types=texts, include_columns=list(texts), strings_can_be_null=True, null_values=[""]
    )
    blocks = pyarrow.csv.ReadOptions(block_size=_CSV_BLOCK)
    quoted = pyarrow.csv.ParseOptions(newlines_in_values=True)
    with _open(path) as file:
        for block in pyarrow.csv.open_csv(file, blocks, quoted, convert):
            for batch in pa.Table.from_batches([block]).to_batches(_BATCH_ROWS):
                yield _batch(batch.column(0), parse_vectors(batch.column(1)))


def parse_vectors(texts: pa.Array) -> pa.Array:
    """Numbers between spaces, commas or semicolons, in brackets or not: list<double> [n]; null for null.

    What is no number is NaN.

    >>> parse_vectors(pa.array(["[1, 2.5]", "3 four", None, "[]"])).to_pylist()
    [[1.0, 2.5], [3.0, nan], None, []]
    """
    bare = pc.utf8_trim(texts, "[](){} \t")
    numbers = pc.split_pattern_regex(bare, r"[,;\s]+")
    empty = pa.scalar([], numbers.type)
    lists = pc.if_else(pc.equal(bare, ""), empty, numbers)
    try:
        return lists.cast(_VECTORS)
    except pa.ArrowInvalid:
        values = pc.if_else(pc.match_substring_regex(lists.values, _NUMBER), lists.values, "nan")
        return pa.ListArray.from_arrays(lists.offsets, values, mask=lists.is_null()).cast(_VECTORS)


def _avro(path: str) -> Iterator[pa.RecordBatch]:
    with _open(path) as file:
        records: Iterator[Any] = iter(fastavro.reader(file))
        while block := list(islice(records, _BATCH_ROWS)):
            yield _batch(*(pa.array([row[name] for row in block]) for name in (ITEM_ID, EMBEDDING)))


def _tfrecord(path: str) -> Iterator[pa.RecordBatch]:
    import tensorflow as tf  # not for the other formats: it takes seconds

    features = {
        ITEM_ID: tf.io.FixedLenFeature((), tf.string, ""),
        EMBEDDING: tf.io.RaggedFeature(tf.float32),
    }
    compression = "GZIP" if path.endswith(".gz") else ""
    for records in tf.data.TFRecordDataset(path, compression).batch(_BATCH_ROWS):
        rows = tf.io.parse_example(records, features)
        item_ids = pa.array(rows[ITEM_ID].numpy(), pa.binary()).cast(pa.string())
        yield _batch(item_ids, _lists(rows[EMBEDDING]))


def _lists(ragged: Any) -> pa.Array:
    """Lists of a ragged tensor; a feature that is not there is an empty one, and null here."""
    lists = pa.ListArray.from_arrays(pa.array(ragged.row_splits.numpy(), pa.int32()), ragged.values.numpy())
    return pc.if_else(pc.equal(pc.list_value_length(lists), 0), pa.scalar(None, lists.type), lists)


def _batch(item_ids: pa.Array, embeddings: pa.Array) -> pa.RecordBatch:
    """The two columns; integers become floats, and a column of nulls gets its type."""
    if pa.types.is_null(item_ids.type):
        item_ids = item_ids.cast(pa.string())
    kind = embeddings.type
    values = kind.value_type if pa.types.is_list(kind) else kind
    if pa.types.is_null(values) or (pa.types.is_list(kind) and pa.types.is_integer(values)):
        embeddings = embeddings.cast(_VECTORS)
    return pa.record_batch({ITEM_ID: item_ids, EMBEDDING: embeddings})


_JSON, _AVRO = Format("JSON lines", _json_lines), Format("Avro", _avro)
_CSV, _TFRECORD = Format("CSV", _csv), Format("TFRecord", _tfrecord)
_FORMATS = {
    "json": _JSON,
    "jsonl": _JSON,
    "ndjson": _JSON,
    "csv": _CSV,
    "avro": _AVRO,
    "tfrecord": _TFRECORD,
    "tfrecords": _TFRECORD,
}


def read_whole(path: str, kind: Format) -> Iterator[pa.RecordBatch]:
    """All batches of a file.

    Raises:
        OSError: it cannot be read as what its name says.
    """
    try:
        yield from kind.batches(path)
    except PermissionError as error:
        raise OSError(f"{path}: may not be read; give this user the right to.") from error
    except Exception as error:  # Each library has its own kinds of errors.
        raise OSError(f"{path}: is no whole {kind.name} file ({_one_line(error)}); write it anew.") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
