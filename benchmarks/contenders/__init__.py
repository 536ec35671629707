"""What is measured: one small module a contender, each with `make(task) -> Contender`."""

from __future__ import annotations

import importlib

from benchmarks.contenders.base import Contender, LeftOutError, Product, Task

NAMES = (
    "rqvae",
    "rqvae_beam5",
    "residual_kmeans",
    "faiss_beam1",
    "faiss_beam5",
    "semantic_id_rqkmeans",
    "semantic_id_rqvae",
)
_OURS = ("benchmarks", "semid_tf")


def make_contender(name: str, task: Task) -> Contender:
    """The contender of one of `NAMES`.

    Raises:
        LeftOutError: it cannot take part.
    """
    try:
        module = importlib.import_module(f"benchmarks.contenders.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in _OURS:
            raise
        raise LeftOutError(f"{name} is left out: the package {error.name} is not installed.") from error
    return module.make(task)


__all__ = ["NAMES", "Contender", "LeftOutError", "Product", "Task", "make_contender"]
