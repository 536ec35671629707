"""The RQ-VAE of this library, searched for codes by a beam of 5."""

from __future__ import annotations

from benchmarks.contenders.base import Contender, Task
from benchmarks.contenders.rqvae import Rqvae


def make(task: Task) -> Contender:
    """See `Rqvae`."""
    return Rqvae(task, beam=5)
