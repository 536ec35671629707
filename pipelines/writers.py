"""The formats in which a table can be written, beside Parquet."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import fastavro
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import tensorflow as tf

from pipelines.schema import CONTENT, ITEM_ID, SEMANTIC_ID

Writer = Callable[[pa.Table, BinaryIO], None]
_BLOCK_ROWS = 4096
# Hardly a value comes twice: a dictionary would be built in vain.
_DIFFERENT = {ITEM_ID, SEMANTIC_ID, CONTENT}


def _parquet(table: pa.Table, file: BinaryIO) -> None:
    repeated = [_leaf(field) for field in table.schema if field.name not in _DIFFERENT]
    pq.write_table(table, file, use_dictionary=repeated)


def _leaf(field: pa.Field) -> str:
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for start in range(0, len(table), _BLOCK_ROWS):
        yield from table.slice(start, _BLOCK_ROWS).to_pylist()


def _json_lines(table: pa.Table, file: BinaryIO) -> None:
    for row in _rows(table):
        file.write(json.dumps(row, default=datetime.isoformat, ensure_ascii=False).encode() + b"\n")


def _csv(table: pa.Table, file: BinaryIO) -> None:
    columns = {name: _joined(column) for name, column in zip(table.column_names, table.columns, strict=True)}
    pyarrow.csv.write_csv(pa.table(columns), file)


def _tsv(table: pa.Table, file: BinaryIO) -> None:
    """Without a head, as SentencePiece reads it."""
    options = pyarrow.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    pyarrow.csv.write_csv(table, file, options)


def _joined(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Lists as numbers between spaces."""
    if not pa.types.is_list(column.type):
        return column
    return pc.binary_join(column.cast(pa.list_(pa.string())), " ")


def _avro(table: pa.Table, file: BinaryIO) -> None:
    fields = [{"name": field.name, "type": _avro_type(field.type)} for field in table.schema]
    schema = fastavro.parse_schema({"type": "record", "name": "Row", "fields": fields})
    fastavro.writer(file, schema, _rows(table), codec="deflate")


def _avro_type(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return ["null", {"type": "array", "items": "int"}]
    if pa.types.is_timestamp(kind):
        return ["null", {"type": "long", "logicalType": "timestamp-micros"}]
    return ["null", "long" if pa.types.is_integer(kind) else "string"]


def _tfrecord(table: pa.Table, file: BinaryIO) -> None:
    """TensorFlow writes to paths only, so the records pass through a local file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in _rows(table):
                writer.write(example(row).SerializeToString())
        with path.open("rb") as records:
            shutil.copyfileobj(records, file)


def example(row: dict[str, Any]) -> tf.train.Example:
    """A row as `tf.train.Example`: texts as bytes, integers and lists of them as int64, floats as float,
    times as microseconds since 1970; what is null or an empty list has no feature.

    >>> example({"item_id": "a", "codes": [3, 1]}).features.feature["codes"].int64_list.value
    [3, 1]
    """
    features = {name: _feature(value) for name, value in row.items() if value not in (None, [])}
    return tf.train.Example(features=tf.train.Features(feature=features))


def _feature(value: Any) -> tf.train.Feature:
    if isinstance(value, datetime):
        value = pa.scalar(value, pa.timestamp("us", "UTC")).value
    values = value if isinstance(value, list) else [value]
    if values and isinstance(values[0], str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode() for text in values]))
    if values and isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


#: Name, which is also the ending of the files -> how to write.
WRITERS: dict[str, Writer] = {
    "parquet": _parquet,
    "tfrecord": _tfrecord,
    "jsonl": _json_lines,
    "avro": _avro,
    "csv": _csv,
    "tsv": _tsv,
}
#: In which the codes can be written besides Parquet.
FORMATS = ("tfrecord", "jsonl", "avro", "csv")
