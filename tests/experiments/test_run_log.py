"""Runs on disk, and figures over several of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import semid_tf as sid
from experiments.figures import mean_of, nan_as_none
from experiments.run_log import RunLog


@dataclass(frozen=True)
class Run:
    name: str
    seed: int


def test_what_was_noted_is_there_again_but_for_a_line_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    log = RunLog(path, {"data": "a"}, Run)
    log.add(Run("x", 0), {"mrr": 0.5})
    log.add(Run("x", 1), {"mrr": None})
    path.write_text(path.read_text()[:-4])
    again = RunLog(path, {"data": "a"}, Run)
    assert again.done == {Run("x", 0): {"mrr": 0.5}}
    again.add(Run("y", 0), {"mrr": 1.0})
    assert list(RunLog(path, {"data": "a"}, Run).done) == [Run("x", 0), Run("y", 0)]


def test_runs_of_something_else_are_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    RunLog(path, {"data": "a"}, Run).add(Run("x", 0), {"mrr": 0.5})
    before = path.read_text()
    with pytest.raises(sid.ArtifactError, match=r"runs\.jsonl holds runs of other data, codes or settings"):
        RunLog(path, {"data": "b"}, Run)
    assert path.read_text() == before


def test_means_keep_the_shape_of_figures() -> None:
    first = {"full": {"mrr": 0.25}, "used": [1.0, 0.5], "items": 7, "none": None}
    second = {"full": {"mrr": 0.75}, "used": [0.5, 0.5], "items": 7, "none": 0.5}
    means = mean_of([first, second])
    assert means == {"full": {"mrr": 0.5}, "used": [0.75, 0.5], "items": 7, "none": None}
    assert isinstance(means["items"], int)


def test_what_does_not_exist_is_null() -> None:
    assert nan_as_none({"cold": {"mrr": float("nan"), "targets": 0}}) == {"cold": {"mrr": None, "targets": 0}}
