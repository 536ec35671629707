"""The whole benchmark of the encode job on a small corpus."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.pipeline import Sizes, main, write_corpus


def test_one_item_in_a_hundred_changes(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder, changed in ((before, False), (after, True)):
        write_corpus(folder, Sizes(1_000, 4, 2, 8), changed)
    old, new = pq.read_table(before), pq.read_table(after)
    assert new["item_id"].equals(old["item_id"])
    same = np.array([a == b for a, b in zip(*(t["embedding"].to_pylist() for t in (old, new)), strict=True)])
    assert np.flatnonzero(~same).tolist() == list(range(0, 1_000, 100))


def test_the_last_line_is_consistent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLINK_HOME", str(tmp_path))  # tests/pipelines has the tests on Flink
    assert main(["--items", "3000", "--dim", "8", "--levels", "2", "--codebook-size", "16"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    ways = ["saved_model", "loop", "local", "local_2", "incremental"]
    assert all(figures[f"{way}_items_per_s"] > 0 and figures[f"{way}_peak_rss_mb"] > 50 for way in ways)
    share = figures["local_items_per_cpu_s"] / figures["saved_model_items_per_cpu_s"]
    assert figures["local_share_of_saved_model_per_cpu"] == pytest.approx(share, rel=0.01, abs=1e-4)
    time = figures["local_items_per_s"] / figures["incremental_items_per_s"]
    assert figures["incremental_share_of_full"] == pytest.approx(time, rel=0.01)
