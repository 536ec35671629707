"""Runs as they are done, on disk, so that an experiment that is stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import semid_tf as sid
from experiments.figures import Figures

RunT = TypeVar("RunT")


class RunLog(Generic[RunT]):
    """One line a run; the first tells what all of them are runs of.

    Args:
        path: of the file; it may hold runs already.
        about: of the experiment, as JSON knows it: what makes runs ones of the same data and settings.
        make_run: makes a run, a frozen dataclass, from its fields.

    Attributes:
        done: figures by run, in the order in which they were made.

    Raises:
        ArtifactError: the file holds runs of other data, codes or settings.
    """

    def __init__(self, path: Path, about: dict[str, Any], make_run: Callable[..., RunT]) -> None:
        self.path = path
        self.done: dict[RunT, Figures] = {}
        first = json.dumps({"experiment": about}) + "\n"
        if not path.exists():
            path.write_text(first, encoding="utf-8")
            return
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if lines[:1] != [first]:
            raise sid.ArtifactError(
                f"{path} holds runs of other data, codes or settings; give another --output."
            )
        whole = [line for line in lines if line.endswith("\n")]  # the last one may have been cut off
        path.write_text("".join(whole), encoding="utf-8")
        for line in whole[1:]:
            figures = json.loads(line)
            self.done[make_run(**figures.pop("run"))] = figures

    def add(self, run: RunT, figures: Figures) -> None:
        """Notes a run."""
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"run": vars(run)} | figures, allow_nan=False) + "\n")
        self.done[run] = figures
