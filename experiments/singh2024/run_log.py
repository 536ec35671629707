"""Runs as they are done, on disk, so that an experiment that is stopped goes on where it was."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import semid_tf as sid
from experiments.singh2024.runs import Figures
from experiments.singh2024.settings import Run, Settings
from experiments.singh2024.world import World
from semid_tf.artifacts import fingerprint


class RunLog:
    """One line a run; the first tells what all of them are runs of.

    Args:
        path: of the file; it may hold runs already.
        world, settings: of the experiment.

    Raises:
        ArtifactError: the file holds runs of other data, codes or settings.
    """

    def __init__(self, path: Path, world: World, settings: Settings) -> None:
        self.path = path
        self.done: dict[Run, Figures] = {}
        first = json.dumps({"experiment": _about(world, settings)}) + "\n"
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
            self.done[Run(**figures.pop("run"))] = figures

    def add(self, run: Run, figures: Figures) -> None:
        """Notes a run."""
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"run": vars(run)} | figures) + "\n")
        self.done[run] = figures


def _about(world: World, settings: Settings) -> dict[str, Any]:
    # Methods, sizes and seeds are those of each run; the files' places say nothing.
    varied = ("items", "interactions", "methods", "table_rows", "seeds")
    kept = {name: value for name, value in dataclasses.asdict(settings).items() if name not in varied}
    splits = world.splits
    examples = (vars(part) for part in (splits.train, splits.test))
    data = fingerprint(*(array for arrays in examples for array in arrays.values()))
    codes = fingerprint(*world.codes.values())
    return kept | {"examples": data, "codes": codes}
