"""The transforms on an unbounded source: an item leaves in the window it came in, before the source ends."""

from __future__ import annotations

import glob
from datetime import UTC, datetime
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.coders import PickleCoder
from apache_beam.ml.inference.base import ModelMetadata
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_stream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from small_quantizer import (
    CODES,
    DIM,
    FINGERPRINT,
    LEVELS,
    NearestCodewords,
    codebooks,
    embeddings,
    numpy_codes,
    publish_quantizer,
)

import semid_tf as sid
from pipelines.arrow_coder import ArrowTableCoder
from pipelines.bigquery import items_of_rows
from pipelines.encoding import QuantizerHandler
from pipelines.sources import with_origin
from pipelines.stream_files import WriteStreamDoors
from pipelines.transforms import EncodeStream, watch_quantizers

SPACE = sid.CodeSpace(LEVELS, CODES)
Seen = tuple[str, str, float]


def table(name: str, vectors: list[list[float]]) -> pa.Table:
    ids = pa.array([f"{name}-{i}" for i in range(len(vectors))])
    return with_origin(pa.record_batch({"item_id": ids, "embedding": pa.array(vectors)}), name, 0)


def seen(items: pa.Table, column: str, window: object = beam.DoFn.WindowParam) -> list[Seen]:
    columns = (items[name].to_pylist() for name in ("item_id", column))
    end = float(window.end)  # type: ignore[attr-defined]
    return [(item_id, text, end) for item_id, text in zip(*columns, strict=True)]


def fresh_and_of(items: pa.Table, start: datetime) -> bool:
    times = items["encoded_at"].to_pylist()
    return all(start <= time <= datetime.now(UTC) for time in times) and set(
        items["quantizer"].to_pylist()
    ) == {FINGERPRINT}


def test_each_item_leaves_in_its_own_window_with_its_codes(quantizer: Path) -> None:
    vectors, start = embeddings(5, seed=6), datetime.now(UTC)
    early, late = vectors[:3].tolist(), vectors[3:].tolist()
    stream = (
        test_stream.TestStream(coder=ArrowTableCoder())
        .advance_watermark_to(0)
        .add_elements([TimestampedValue(table("early", [*early, [float("nan")] * DIM]), 3)])
        .advance_watermark_to(30)
        .add_elements([TimestampedValue(table("late", late), 31)])
        .advance_watermark_to_infinity()
    )
    texts = ["-".join(map(str, row)) for row in numpy_codes(np.array(vectors))]
    expected = [(f"early-{i}", texts[i], 10.0) for i in range(3)]
    expected += [(f"late-{i}", texts[3 + i], 40.0) for i in range(2)]
    with beam.Pipeline("BundleBasedDirectRunner", PipelineOptions(["--streaming"])) as pipeline:
        handler = QuantizerHandler(str(quantizer), FINGERPRINT, SPACE, encoded_at=None)
        items = pipeline | stream | beam.WindowInto(FixedWindows(10))
        doors = items | EncodeStream(handler, DIM)
        codes = doors["codes"] | "SeenCodes" >> beam.FlatMap(seen, "semantic_id")
        assert_that(codes, equal_to(expected), label="codes")
        fresh = doors["codes"] | "Fresh" >> beam.Map(fresh_and_of, start)
        assert_that(fresh, equal_to([True, True]), label="fresh")
        rejected = doors["rejected"] | "SeenRejected" >> beam.FlatMap(seen, "reason")
        assert_that(rejected, equal_to([("early-3", "not_finite", 10.0)]), label="rejected")


#: What came in and what left, in this order.
SEEN: list[str] = []


def note(items: pa.Table, what: str) -> None:
    SEEN.extend(f"{item_id} {what}" for item_id in items["item_id"].to_pylist())


def test_an_item_leaves_while_its_window_is_open(quantizer: Path) -> None:
    first, second = (table(name, embeddings(1).tolist()) for name in ("first", "second"))
    stream = (
        test_stream.TestStream(coder=ArrowTableCoder())
        .add_elements([TimestampedValue(first, 3)])
        .advance_watermark_to(5)
        .add_elements([TimestampedValue(second, 6)])
        .advance_watermark_to_infinity()
    )
    SEEN.clear()
    with beam.Pipeline("BundleBasedDirectRunner", PipelineOptions(["--streaming"])) as pipeline:
        handler = QuantizerHandler(str(quantizer), FINGERPRINT, SPACE, encoded_at=None)
        items = pipeline | stream | beam.WindowInto(FixedWindows(10))
        items | "In" >> beam.Map(note, "in")
        (items | EncodeStream(handler, DIM))["codes"] | "Out" >> beam.Map(note, "out")
    assert sorted(SEEN) == ["first-0 in", "first-0 out", "second-0 in", "second-0 out"]
    assert SEEN.index("first-0 out") < SEEN.index("second-0 in")


def test_files_hold_each_window(quantizer: Path, tmp_path: Path) -> None:
    vectors = embeddings(5, seed=6)
    rows = [{"item_id": f"item-{i}", "embedding": row} for i, row in enumerate(vectors.tolist())]
    rows.append({"item_id": None, "embedding": [0.0] * DIM})
    stream = (
        test_stream.TestStream(coder=PickleCoder())
        .add_elements([TimestampedValue(row, 3) for row in rows[:3]])
        .advance_watermark_to(20)
        .add_elements([TimestampedValue(row, 21) for row in rows[3:]])
        .advance_watermark_to_infinity()
    )
    with beam.Pipeline("BundleBasedDirectRunner", PipelineOptions(["--streaming"])) as pipeline:
        handler = QuantizerHandler(str(quantizer), FINGERPRINT, SPACE, encoded_at=None)
        (
            pipeline
            | stream
            | beam.WindowInto(FixedWindows(10))
            | beam.BatchElements(1, 256)
            | beam.Map(items_of_rows, "topic")
            | EncodeStream(handler, DIM)
            | WriteStreamDoors(str(tmp_path), num_shards=2)
        )
    texts = ["-".join(map(str, row)) for row in numpy_codes(vectors)]
    found = [(path.name[:17], pq.read_table(path)) for path in sorted((tmp_path / "codes").iterdir())]
    written = [
        (start, *row.values())
        for start, items in found
        for row in items.select(["item_id", "semantic_id"]).to_pylist()
    ]
    starts = ["19700101T000000.0"] * 3 + ["19700101T000020.0"] * 2
    assert sorted(written) == [(starts[i], f"item-{i}", texts[i]) for i in range(5)]
    assert len(found) <= 4
    (rejected,) = (tmp_path / "rejected").iterdir()
    assert rejected.name == "19700101T000020.000000-0-part-00000-of-00002.parquet"
    assert pq.read_table(rejected).to_pylist() == [
        {"item_id": None, "reason": "missing_item_id", "source": "topic", "row": 0}
    ]


def stamped(items: pa.Table) -> list[tuple[str, str, str]]:
    columns = (items[name].to_pylist() for name in ("item_id", "quantizer", "semantic_id"))
    return list(zip(*columns, strict=True))


def test_a_newer_model_takes_over_and_rows_say_which_made_them(quantizer: Path, tmp_path: Path) -> None:
    flipped = publish_quantizer(NearestCodewords(-codebooks()), tmp_path / "2", fingerprint="f" * 16)
    vectors = embeddings(4, seed=6)
    first, second, third = (table(name, vectors.tolist()) for name in ("first", "second", "third"))

    def model(folder: Path) -> ModelMetadata:
        return ModelMetadata(model_id=str(folder / "manifest.json"), model_name=folder.name)

    stream = (
        test_stream.TestStream(coder=PickleCoder(), output_tags={"items", "models"})
        .add_elements([TimestampedValue(model(quantizer), 0)], tag="models")
        .add_elements([TimestampedValue(first, 1)], tag="items")
        .advance_watermark_to(10, tag="items")
        .advance_watermark_to(10, tag="models")
        .add_elements([TimestampedValue(model(flipped), 10)], tag="models")
        .add_elements([TimestampedValue(second, 12)], tag="items")
        .advance_watermark_to(20, tag="items")
        .advance_watermark_to(20, tag="models")
        .add_elements([TimestampedValue(model(quantizer), 20)], tag="models")
        .add_elements([TimestampedValue(third, 29)], tag="items")
        .advance_watermark_to_infinity(tag="items")
        .advance_watermark_to_infinity(tag="models")
    )
    texts = ["-".join(map(str, row)) for row in numpy_codes(vectors)]
    flipped_texts = ["-".join(map(str, row)) for row in numpy_codes(-vectors)]
    assert not set(texts) & set(flipped_texts)
    made = {"first": (FINGERPRINT, texts), "second": ("f" * 16, flipped_texts), "third": (FINGERPRINT, texts)}
    expected = [(f"{name}-{i}", made[name][0], made[name][1][i]) for name in made for i in range(4)]
    with beam.Pipeline("BundleBasedDirectRunner", PipelineOptions(["--streaming"])) as pipeline:
        sources = pipeline | stream
        items = sources["items"] | "ItemWindows" >> beam.WindowInto(FixedWindows(10))
        models = sources["models"] | "ModelWindows" >> beam.WindowInto(FixedWindows(10))
        handler = QuantizerHandler(str(quantizer), FINGERPRINT, SPACE, encoded_at=None)
        doors = items | EncodeStream(handler, DIM, model_updates=models)
        assert_that(doors["codes"] | beam.FlatMap(stamped), equal_to(expected))


def test_watched_folders_give_manifests_that_the_handler_takes(quantizer: Path, tmp_path: Path) -> None:
    newer = publish_quantizer(NearestCodewords(-codebooks()), tmp_path / "all" / "2", fingerprint="f" * 16)
    watched = watch_quantizers(str(tmp_path / "all"), interval_s=5)
    (manifest,) = glob.glob(watched.file_pattern)
    assert manifest == str(newer / "manifest.json")
    handler = QuantizerHandler(str(quantizer), FINGERPRINT, SPACE, encoded_at=None)
    assert handler.load_model().fingerprint == FINGERPRINT
    handler.update_model_path(manifest)
    assert handler.load_model().fingerprint == "f" * 16
    with sid.staging(tmp_path) as folder:
        config = {"num_levels": 2, "codebook_size": 4}
        other = sid.publish(folder, tmp_path / "3", sid.Manifest("quantizer", "f", "i", config=config)).path
    with pytest.raises(sid.ProvenanceError, match=r"3 has codes in CodeSpace\(.*, but this job in CodeSpace"):
        handler.update_model_path(str(other / "manifest.json"))


def test_a_newer_model_for_other_embeddings_is_refused(quantizer: Path) -> None:
    handler = QuantizerHandler(str(quantizer), FINGERPRINT, SPACE, encoded_at=None)
    assert handler.for_embeddings(DIM).load_model().fingerprint == FINGERPRINT
    other = handler.for_embeddings(DIM + 1)
    other.update_model_path(str(quantizer / "manifest.json"))
    said = rf"{quantizer} takes embeddings of {DIM} values, but this job has {DIM + 1}; publish a quantizer"
    with pytest.raises(sid.ProvenanceError, match=said):
        other.load_model()
