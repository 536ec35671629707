"""Figures for Prometheus, under TensorFlow Serving's names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from serving.server.refusal import refusal_of

PATH = "/monitoring/prometheus/metrics"
_BUCKETS = [10 * 1.8**power for power in range(33)]
_MICROSECONDS = 1e6


class Metrics:
    """Counts and times requests."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        # A Counter would append `_total` to the name that dashboards know.
        self._count = Gauge(
            ":tensorflow:serving:request_count",
            "The total number of requests.",
            ["model_name", "status"],
            registry=self._registry,
        )
        self._latency = Histogram(
            ":tensorflow:serving:request_latency",
            "Distribution of wall time in microseconds.",
            ["model_name", "API", "entrypoint"],
            registry=self._registry,
            buckets=_BUCKETS,
        )

    @contextmanager
    def watch(self, model: str, api: str, entrypoint: str) -> Iterator[None]:
        """Counts one request by its end, and times it."""
        started, code = time.perf_counter(), "CANCELLED"
        try:
            yield
            code = "OK"
        except Exception as error:
            code = refusal_of(error).code.name
            raise
        finally:
            self._count.labels(model, code).inc()
            elapsed = (time.perf_counter() - started) * _MICROSECONDS
            self._latency.labels(model, api, entrypoint).observe(elapsed)

    def page(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)
