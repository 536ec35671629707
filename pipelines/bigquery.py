"""Items from BigQuery and codes to BigQuery, by Beam's own connector; needs `apache-beam[gcp]`.

    with beam.Pipeline(options=options) as pipeline:
        items = pipeline | ReadItemsFromBigQuery("project:dataset.items")
        doors = items | EncodeItems(handler, embedding_dim, num_shards)
        doors["codes"] | WriteCodesToBigQuery("project:dataset.codes")
        doors["rejected"] | WriteRejectedToBigQuery("project:dataset.rejected")

A row of a table has no number: `row` is 0 for all. Of several rows with one item_id, the content decides
which is encoded, so that it is the same one on every run. For streams: `AppendCodesToBigQuery`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.io.gcp import bigquery
from apache_beam.pvalue import PBegin, PCollection

from pipelines.duplicates import Shard
from pipelines.pieces import Tokenizers
from pipelines.schema import EMBEDDING, ITEM_ID, REJECTED_FILE, ROW, codes_schema
from pipelines.sinks import codes_file, rejected_file
from pipelines.sources import BATCH_ROWS, with_origin

_VECTORS = pa.list_(pa.float64())


class ReadItemsFromBigQuery(beam.PTransform):
    """Reads `item_id` (STRING or INT64) and `embedding` (ARRAY<FLOAT64>): tables of items with their origin.

    Args:
        table: `project:dataset.table`.
        read: how to read its rows as dicts; by default the Storage API, these two columns alone.
    """

    def __init__(self, table: str, read: beam.PTransform | None = None) -> None:
        super().__init__()
        self._table = table
        self._read = read or bigquery.ReadFromBigQuery(
            table=table,
            method=bigquery.ReadFromBigQuery.Method.DIRECT_READ,
            selected_fields=[ITEM_ID, EMBEDDING],
        )

    def expand(self, pbegin: PBegin) -> PCollection[pa.Table]:
        return (
            pbegin
            | "ReadRows" >> self._read
            | "Batch" >> beam.BatchElements(min_batch_size=BATCH_ROWS, max_batch_size=BATCH_ROWS)
            | "Tables" >> beam.Map(items_of_rows, self._table).with_output_types(pa.Table)
        )


def items_of_rows(rows: Sequence[dict[str, Any]], table: str) -> pa.Table:
    """Rows of BigQuery, or messages with the same fields, as a table of items; `row` is 0.

    An empty array, which is BigQuery's null, is null.

    >>> items_of_rows([{"item_id": 7, "embedding": [0.5, 1.0]}, {"item_id": None, "embedding": []}], "p:d.t")[
    ...     "embedding"
    ... ].to_pylist()
    [[0.5, 1.0], None]
    """
    item_ids = [None if row[ITEM_ID] is None else str(row[ITEM_ID]) for row in rows]
    embeddings = [row[EMBEDDING] or None for row in rows]
    columns = {ITEM_ID: pa.array(item_ids, pa.string()), EMBEDDING: pa.array(embeddings, _VECTORS)}
    items = with_origin(pa.record_batch(columns), table, 0)
    return items.set_column(items.schema.get_field_index(ROW), ROW, pa.array(np.zeros(len(items), np.int64)))


class _WriteRows(beam.PTransform):
    """Writes dicts, replacing what the table held."""

    def __init__(self, table: str, schema: pa.Schema, settings: dict[str, Any]) -> None:
        super().__init__()
        self._write = bigquery.WriteToBigQuery(
            table,
            schema=bigquery_schema(schema),
            create_disposition=bigquery.BigQueryDisposition.CREATE_IF_NEEDED,
            **({"write_disposition": bigquery.BigQueryDisposition.WRITE_TRUNCATE} | settings),
        )

    def expand(self, rows: PCollection[dict[str, Any]]) -> Any:
        return rows | "WriteRows" >> self._write


class WriteCodesToBigQuery(beam.PTransform):
    """(shard, table of encoded items), such as `EncodeItems` gives -> rows of `schema.codes_schema`.

    Args:
        table: `project:dataset.table`; it is replaced, or made.
        tokenizers: give columns of piece ids.
        settings: further ones of Beam's `WriteToBigQuery`.
    """

    def __init__(self, table: str, tokenizers: Tokenizers | None = None, **settings: Any) -> None:
        super().__init__()
        self._tokenizers = tokenizers
        schema = codes_schema(tokenizers.columns if tokenizers else ())
        self._write = _WriteRows(table, schema, settings)

    def expand(self, codes: PCollection[Shard]) -> Any:
        return codes | "Rows" >> beam.FlatMap(_codes_rows, self._tokenizers) | self._write


class AppendCodesToBigQuery(beam.PTransform):
    """Tables of `schema.codes_schema`, such as `EncodeStream` gives -> rows behind those that are there.

    Args:
        table: `project:dataset.table`; it is made if it is missing.
        tokenizers: those of the tables.
        settings: further ones of Beam's `WriteToBigQuery`.
    """

    def __init__(self, table: str, tokenizers: Tokenizers | None = None, **settings: Any) -> None:
        super().__init__()
        schema = codes_schema(tokenizers.columns if tokenizers else ())
        append = {"write_disposition": bigquery.BigQueryDisposition.WRITE_APPEND}
        self._write = _WriteRows(table, schema, append | settings)

    def expand(self, codes: PCollection[pa.Table]) -> Any:
        return codes | "Rows" >> beam.FlatMap(_rows) | self._write


class WriteRejectedToBigQuery(beam.PTransform):
    """Tables of rejected items, such as `EncodeItems` gives -> rows of `schema.REJECTED_FILE`.

    Args:
        table: `project:dataset.table`; it is replaced, or made.
        settings: further ones of Beam's `WriteToBigQuery`.
    """

    def __init__(self, table: str, **settings: Any) -> None:
        super().__init__()
        self._write = _WriteRows(table, REJECTED_FILE, settings)

    def expand(self, rejected: PCollection[pa.Table]) -> Any:
        return rejected | "Rows" >> beam.FlatMap(_rejected_rows) | self._write


def _codes_rows(element: Shard, tokenizers: Tokenizers | None) -> Iterator[dict[str, Any]]:
    yield from _rows(codes_file(element[1], tokenizers))


def _rejected_rows(rejected: pa.Table) -> Iterator[dict[str, Any]]:
    yield from _rows(rejected_file(rejected))


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for field in table.schema:
        if pa.types.is_timestamp(field.type):
            place = table.schema.get_field_index(field.name)
            table = table.set_column(place, field.name, table[field.name].cast(pa.string()))
    for start in range(0, len(table), BATCH_ROWS):
        yield from table.slice(start, BATCH_ROWS).to_pylist()


def bigquery_schema(schema: pa.Schema) -> dict[str, Any]:
    """Columns as BigQuery names them.

    >>> bigquery_schema(pa.schema([("item_id", pa.string()), ("codes", pa.list_(pa.int32()))]))["fields"][1]
    {'name': 'codes', 'type': 'INTEGER', 'mode': 'REPEATED'}
    """
    return {"fields": [_field(field) for field in schema]}


def _field(field: pa.Field) -> dict[str, str]:
    repeated = pa.types.is_list(field.type)
    kind = field.type.value_type if repeated else field.type
    if pa.types.is_timestamp(kind):
        name = "TIMESTAMP"
    else:
        name = "INTEGER" if pa.types.is_integer(kind) else "STRING"
    return {"name": field.name, "type": name, "mode": "REPEATED" if repeated else "NULLABLE"}
