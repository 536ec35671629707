"""Beam's counters of the encode job say what the report says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from apache_beam.runners.runner import PipelineResult
from small_quantizer import embeddings

import semid_tf as sid
from pipelines.counting import read_counter
from pipelines.encode import encode_corpus, publish_corpus, report_on
from pipelines.started import Started

TOTALS = ("input", "encoded", "unchanged", "rejected")


def counted(started: Started, model: sid.SavedQuantizer, result: PipelineResult) -> dict[str, Any]:
    report = report_on(started, model, result)
    assert {name: read_counter(result, name) for name in TOTALS} == {name: report[name] for name in TOTALS}
    reasons = report["rejected_by_reason"]
    assert {name: read_counter(result, f"rejected_{name}") for name in reasons} == reasons
    return report


def test_counters_are_those_of_the_report(
    quantizer: Path, tmp_path: Path, write_items: Callable[..., str]
) -> None:
    vectors = embeddings(6).tolist()
    items = write_items(["a", "b", "a", None, "c", "d"], [*vectors[:4], None, vectors[5]])
    report = encode_corpus(items, quantizer, tmp_path / "1", num_shards=2, afterwards=counted)
    assert [report[name] for name in TOTALS] == [6, 3, 0, 3]

    earlier = publish_corpus(items, quantizer, tmp_path / "earlier").path
    items = write_items(["a", "b", "new", "new"], [vectors[0], vectors[3], vectors[4], vectors[5]])
    settings: dict[str, Any] = {"num_shards": 2, "previous": earlier, "afterwards": counted}
    report = encode_corpus(items, quantizer, tmp_path / "2", **settings)
    assert [report[name] for name in TOTALS] == [4, 2, 1, 1]
