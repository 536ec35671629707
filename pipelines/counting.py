"""Beam's counters of the job; a runner's monitoring shows them while it runs."""

from __future__ import annotations

import pyarrow as pa
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.runners.runner import PipelineResult

from pipelines.schema import REASON

#: Namespace of all counters.
COUNTERS = "semid"


def count_items(name: str, count: int) -> None:
    """Adds to a counter."""
    Metrics.counter(COUNTERS, name).inc(count)


def count_rejected(rejected: pa.Table) -> None:
    """Adds rejected items to `rejected` and to the counter of each reason."""
    count_items("rejected", len(rejected))
    for found in rejected.column(REASON).combine_chunks().dictionary_decode().value_counts().to_pylist():
        count_items(f"rejected_{found['values']}", found["counts"])


def read_counter(result: PipelineResult, name: str) -> int:
    """The value of a counter of a finished job; 0 if it was never touched."""
    found = result.metrics().query(MetricsFilter().with_namespace(COUNTERS).with_name(name))["counters"]
    return sum(counter.result or 0 for counter in found)
