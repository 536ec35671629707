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
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_stream
from apache_beam.testing.util import assert_that, equal_to
from small_quantizer import CODES, DIM, FINGERPRINT, LEVELS, embeddings, numpy_codes

import semid_tf as sid
from pipelines.arrow_coder import ArrowTableCoder
from pipelines.content import content_hashes
from pipelines.encoding import QuantizerHandler
from pipelines.schema import CODES_FILE, REJECTED_FILE
from pipelines.transforms import EncodeItems, EncodeStream

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


@pytest.mark.skipif(not HAS_CLIENT, reason="needs google-cloud-bigquery")
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


@pytest.mark.skipif(not HAS_CLIENT, reason="needs google-cloud-bigquery")
def test_rows_of_a_stream_are_appended(ours: Any, quantizer: Path) -> None:
    batch = ours.items_of_rows([row for row in rows() if row["item_id"] in range(3)], TABLE)
    stream = test_stream.TestStream(coder=ArrowTableCoder()).add_elements([batch])
    handler = QuantizerHandler(str(quantizer), FINGERPRINT, sid.CodeSpace(LEVELS, CODES), None)
    there = mock.patch.object(bigquery_tools.BigQueryWrapper, "get_or_create_table")
    streaming = {"test_client": RememberingClient()}
    with there, beam.Pipeline("BundleBasedDirectRunner", PipelineOptions(["--streaming"])) as pipeline:
        doors = pipeline | stream.advance_watermark_to_infinity() | EncodeStream(handler, DIM)
        doors["codes"] | ours.AppendCodesToBigQuery("project:dataset.streamed", **streaming)
    codes = numpy_codes(np.array(embeddings(9)))
    sent = {row["item_id"]: row["codes"] for row in RememberingClient.sent["streamed"]}
    assert sent == {str(i): codes[i].tolist() for i in range(3)}


@pytest.mark.parametrize("swap", [False, True])
def test_of_two_rows_with_one_id_the_same_is_encoded_in_any_order(
    ours: Any, quantizer: Path, swap: bool
) -> None:
    # In batches of their own, so that neither the row nor the source tells them apart.
    vectors = embeddings(2, seed=4)
    batches = [ours.items_of_rows([{"item_id": "a", "embedding": row}], TABLE) for row in vectors.tolist()]
    contents = [content_hashes(pa.array(["a"]), vectors[[i]]).to_pylist()[0] for i in range(2)]
    handler = QuantizerHandler(
        str(quantizer), FINGERPRINT, sid.CodeSpace(LEVELS, CODES), datetime(2026, 1, 1, tzinfo=UTC)
    )
    with beam.Pipeline("FnApiRunner") as pipeline:
        items = pipeline | beam.Create(batches[::-1] if swap else batches, reshuffle=False)
        doors = items | EncodeItems(handler, DIM, num_shards=1)
        found = doors["codes"] | beam.FlatMap(lambda element: element[1]["codes"].to_pylist())
        expected = numpy_codes(vectors)[int(np.argmin(contents))].tolist()
        assert_that(found, equal_to([expected]))


def test_an_embedding_of_integers_is_one_of_floats(ours: Any) -> None:
    table = ours.items_of_rows([{"item_id": name, "embedding": [1, 2]} for name in "ab"], TABLE)
    assert table.schema.field("embedding").type == pa.list_(pa.float64())
    assert table["row"].to_pylist() == [0, 0]
