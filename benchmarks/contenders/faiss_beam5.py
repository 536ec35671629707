"""FAISS's `ResidualQuantizer` with beam 5."""

from __future__ import annotations

from benchmarks.contenders.base import Contender, Task
from benchmarks.contenders.faiss_residual import FaissResidual


def make(task: Task) -> Contender:
    """See `FaissResidual`."""
    return FaissResidual(task, beam=5)
