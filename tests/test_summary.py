"""The summary for programs is valid JSON whatever the figures are."""

from __future__ import annotations

import json
from pathlib import Path

from semid_tf.report import write_summary


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def test_figures_that_do_not_exist_are_null(tmp_path: Path) -> None:
    nan = float("nan")
    path = write_summary(tmp_path, {"auc": 0.5, "methods": {"dense": {"auc_cold": nan}}, "usage": [1.0, nan]})
    read = json.loads(path.read_text(), parse_constant=_no_constant)
    assert read == {"auc": 0.5, "methods": {"dense": {"auc_cold": None}}, "usage": [1.0, None]}


def test_only_the_summary_is_left(tmp_path: Path) -> None:
    write_summary(tmp_path, {"items": 1})
    write_summary(tmp_path, {"items": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]
    assert json.loads((tmp_path / "summary.json").read_text()) == {"items": 2}
