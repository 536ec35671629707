"""Several local workers: nothing is cut or lost while an element is being written."""

from __future__ import annotations

import time
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.running import run_job


class Slow(str):
    """A text whose coder takes longer than Beam's local workers wait before they send."""


class SlowCoder(beam.coders.Coder):
    """Codes a text."""

    def encode(self, value: Slow) -> bytes:
        time.sleep(1.3)
        return value.encode()

    def decode(self, encoded: bytes) -> Slow:
        return Slow(encoded.decode())


beam.coders.registry.register_coder(Slow, SlowCoder)


def test_an_element_that_is_written_slowly_arrives_whole(tmp_path: Path) -> None:
    options = PipelineOptions(["--direct_num_workers=2", "--direct_running_mode=multi_threading"])

    def build(pipeline: beam.Pipeline) -> None:
        (
            pipeline
            | beam.Create([1, 2, 3])
            | beam.Map(lambda number: (number % 2, Slow(number))).with_output_types(tuple[int, Slow])
            | beam.GroupByKey()
            | beam.MapTuple(lambda key, texts: (tmp_path / str(key)).write_text(" ".join(sorted(texts))))
        )

    for _ in range(2):  # the options stay as they were
        run_job(build, options)
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"0": "2", "1": "1 3"}
