"""The transforms on an unbounded source: an item leaves in the window it came in, before the source ends."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_stream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from small_quantizer import CODES, DIM, FINGERPRINT, LEVELS, embeddings, numpy_codes

import semid_tf as sid
from pipelines.arrow_coder import ArrowTableCoder
from pipelines.encoding import QuantizerHandler
from pipelines.sources import with_origin
from pipelines.transforms import EncodeStream

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
        handler = QuantizerHandler(str(quantizer), FINGERPRINT, sid.CodeSpace(LEVELS, CODES), encoded_at=None)
        items = pipeline | stream | beam.WindowInto(FixedWindows(10))
        doors = items | EncodeStream(handler, DIM)
        codes = doors["codes"] | "SeenCodes" >> beam.FlatMap(seen, "semantic_id")
        assert_that(codes, equal_to(expected), label="codes")
        fresh = doors["codes"] | "Fresh" >> beam.Map(fresh_and_of, start)
        assert_that(fresh, equal_to([True, True]), label="fresh")
        rejected = doors["rejected"] | "SeenRejected" >> beam.FlatMap(seen, "reason")
        assert_that(rejected, equal_to([("early-3", "not_finite", 10.0)]), label="rejected")
