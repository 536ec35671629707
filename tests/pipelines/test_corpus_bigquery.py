"""BigQuery in and out: rows as they are, and Beam's connector with a client that only remembers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.io.gcp import bigquery, bigquery_tools
from apache_beam.testing.util import assert_that, equal_to
from small_quantizer import CODES, DIM, FINGERPRINT, LEVELS, embeddings, numpy_codes

import semid_tf as sid
from pipelines.encoding import QuantizerHandler
from pipelines.schema import CODES_FILE, REJECTED_FILE
from pipelines.transforms import EncodeItems

# Without a client, Beam only says so when it writes.
HAS_CLIENT = getattr(bigquery_tools, "gcp_bigquery", None) is not None
TABLE = "project:dataset.items"


@pytest.fixture
def ours() -> Any:
    from pipelines import bigquery as module

    return module


def rows() -> list[dict[str, Any]]:
    """As the connector gives them: integers may be ids, and a null array is an empty one."""
    found: list[dict[str, Any]] = [
        {"item_id": i, "embedding": row} for i, row in enumerate(embeddings(9).tolist())
    ]
    return [*found, {"item_id": "bad", "embedding": []}, {"item_id": None, "embedding": [0.0] * DIM}]


def encoded(pipeline: beam.Pipeline, ours: Any, quantizer: Path) -> dict[str, Any]:
    items = pipeline | ours.ReadItemsFromBigQuery(TABLE, read=beam.Create(rows()))
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)
    handler = QuantizerHandler(str(quantizer), FINGERPRINT, sid.CodeSpace(LEVELS, CODES), moment)
    doors: dict[str, Any] = items | EncodeItems(handler, DIM, num_shards=2)
    return doors


def test_schemas_are_those_of_the_files(ours: Any) -> None:
    fields = ours.bigquery_schema(CODES_FILE)["fields"]
    assert {field["name"]: (field["type"], field["mode"]) for field in fields} == {
        "item_id": ("STRING", "NULLABLE"),
        "codes": ("INTEGER", "REPEATED"),
        "semantic_id": ("STRING", "NULLABLE"),
        "quantizer": ("STRING", "NULLABLE"),
        "encoded_at": ("TIMESTAMP", "NULLABLE"),
        "content": ("INTEGER", "NULLABLE"),
    }
    assert [field["type"] for field in ours.bigquery_schema(REJECTED_FILE)["fields"]] == [
        "STRING",
        "STRING",
        "STRING",
        "INTEGER",
    ]


def test_rows_come_in_and_leave_as_rows(ours: Any, quantizer: Path) -> None:
    codes = numpy_codes(np.array(embeddings(9)))
    with beam.Pipeline("FnApiRunner") as pipeline:
        doors = encoded(pipeline, ours, quantizer)
        written = doors["codes"] | "Codes" >> beam.FlatMap(ours._codes_rows, None)
        found = written | "Kept" >> beam.Map(lambda row: (row["item_id"], row["codes"], row["encoded_at"]))
        expected = [(str(i), codes[i].tolist(), "2026-01-02 03:04:05.000678Z") for i in range(9)]
        assert_that(found, equal_to(expected), label="codes")
        rejected = doors["rejected"] | "Rejected" >> beam.FlatMap(ours._rejected_rows)
        reasons = rejected | "Why" >> beam.Map(lambda row: (row["item_id"], row["reason"], row["source"]))
        wrong = [("bad", "missing_embedding", TABLE), (None, "missing_item_id", TABLE)]
        assert_that(reasons, equal_to(wrong), label="rejected")


def test_the_source_asks_for_the_two_columns(ours: Any) -> None:
    with mock.patch.object(bigquery, "ReadFromBigQuery") as read:
        ours.ReadItemsFromBigQuery(TABLE)
    assert read.call_args.kwargs["table"] == TABLE
    assert read.call_args.kwargs["selected_fields"] == ["item_id", "embedding"]


class RememberingClient:
    """Takes the connector's place of delivery; Beam copies it, so that what it remembers is the class's."""

    sent: ClassVar[dict[str, list[dict[str, Any]]]] = {}

    def insert_rows_json(self, table: Any, json_rows: list[dict[str, Any]], **more: Any) -> list[Any]:
        self.sent.setdefault(str(table).rpartition(".")[2], []).extend(json_rows)
        return []


@pytest.mark.skipif(not HAS_CLIENT, reason="needs apache-beam[gcp]")
def test_the_connector_is_given_every_row(ours: Any, quantizer: Path) -> None:
    streaming = {
        "method": bigquery.WriteToBigQuery.Method.STREAMING_INSERTS,
        "write_disposition": bigquery.BigQueryDisposition.WRITE_APPEND,
        "test_client": RememberingClient(),
    }
    # The tables are there already, so that the cloud is not asked.
    there = mock.patch.object(bigquery_tools.BigQueryWrapper, "get_or_create_table")
    with there, beam.Pipeline("BundleBasedDirectRunner") as pipeline:
        doors = encoded(pipeline, ours, quantizer)
        doors["codes"] | "W1" >> ours.WriteCodesToBigQuery("project:dataset.codes", **streaming)
        doors["rejected"] | "W2" >> ours.WriteRejectedToBigQuery("project:dataset.rejected", **streaming)
    sent = RememberingClient.sent
    codes = numpy_codes(np.array(embeddings(9)))
    assert {row["item_id"]: row["codes"] for row in sent["codes"]} == {
        str(i): codes[i].tolist() for i in range(9)
    }
    assert sorted(row["reason"] for row in sent["rejected"]) == ["missing_embedding", "missing_item_id"]


def test_an_embedding_of_integers_is_one_of_floats(ours: Any) -> None:
    table = ours.items_of_rows([{"item_id": "a", "embedding": [1, 2]}], TABLE)
    assert table.schema.field("embedding").type == pa.list_(pa.float64())
    assert table["row"].to_pylist() == [0]
