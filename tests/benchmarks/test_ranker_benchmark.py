"""A tiny run of the benchmark of rankers: every method has its figures."""

from __future__ import annotations

import json

import pytest

from benchmarks import ranker
from semid_tf.methods import METHODS


# So few items leave it nothing to tell apart.
@pytest.mark.filterwarnings("ignore:level 3 (is uneven|has collapsed)")
def test_every_method_is_measured(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranker, "_BATCH", 16)
    assert ranker.main(["--items", "600", "--rows", "1100", "--steps", "2", "--turns", "2"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    methods = result["methods"]
    assert {name.removesuffix("_on_unigram") for name in methods} == {*METHODS, "bigram"}
    for figures in methods.values():
        assert all(value > 0 for name, value in figures.items() if name != "lookups_per_item")
    used = {name: figures["lookups_per_item"] for name, figures in methods.items()}
    assert [used[name] for name in ("dense", "random_hash", "unigram", "bigram", "prefix")] == [0, 1, 4, 2, 4]
    assert used["id_sid_on_unigram"] == pytest.approx(used["sentencepiece_on_unigram"] + 1)
    assert set(result["lookup"]) == {f"{way}_items_per_s" for way in ("in_graph", "fast_path", "python")}
