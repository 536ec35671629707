"""The experiment on a small drawn world: what it writes, and that its figures are those of its runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import semid_tf as sid

pytest.importorskip("matplotlib")

from experiments.singh2024.__main__ import main, run
from experiments.singh2024.settings import Run, Settings, all_runs
from experiments.singh2024.summary import summarize

METHODS = ("random_hash", "unigram", "unigram_longer", "sentencepiece_alone", "sentencepiece")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The two tables."""
    folder = tmp_path_factory.mktemp("world")
    items = sid.synthetic_items(500, 16, seed=0)
    sid.write_tables(folder, items, sid.synthetic_interactions(items, 150, 20, seed=0))
    return {name: str(folder / f"{name}.parquet") for name in ("items", "interactions")}


@pytest.fixture(scope="module")
def done(files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The result and the folder of an experiment that is small in everything."""
    folder = tmp_path_factory.mktemp("result")
    return run(small(files), folder, ["--quick"]), folder


def small(files: dict[str, str]) -> Settings:
    """An experiment that is small in everything."""
    return Settings(
        **files,
        methods=METHODS,
        table_rows=(40,),
        seeds=(3,),
        quantizer=sid.RQVAEConfig(num_levels=2, codebook_size=16, latent_dim=8, hidden_dim=8, epochs=1),
        ranker=sid.RankerConfig(dim=8, hidden_dims=(8,), epochs=1, batch_size=1024),
        evaluation=sid.EvaluationConfig(bootstrap_samples=10),
    )


def test_every_method_has_every_table_size(done: tuple[dict[str, Any], Path]) -> None:
    methods = done[0]["methods"]
    assert {name: list(found["rows"]) for name, found in methods.items()} == {
        "random_hash": ["40"],
        "unigram": ["33"],
        "unigram_longer": ["33"],
        "sentencepiece_alone": ["40"],
        "sentencepiece": ["40"],
    }
    for found in methods.values():
        for cell in found["rows"].values():
            assert cell["auc_low"] <= cell["auc"] <= cell["auc_high"]
            assert len(cell["auc_by_decile"]) == 10
            tenths = zip(*(cell[f"auc_by_decile{end}"] for end in ("_low", "", "_high")), strict=True)
            assert all(low <= value <= high for low, value, high in tenths if value is not None)
            assert 0 < cell["without_history"]["auc"] < 1


def test_figures_are_those_of_the_runs(done: tuple[dict[str, Any], Path]) -> None:
    result, folder = done
    lines = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()[1:]]
    assert len(lines) == 2 * 5 + 2
    by_run = {tuple(line["run"].values()): line for line in lines}
    one, base = by_run["sentencepiece", 40, 3, False, "all"], by_run["random_hash", 40, 3, False, "all"]
    cell = result["methods"]["sentencepiece"]["rows"]["40"]["without_history"]
    assert cell["auc"] == one["auc"]
    assert cell["auc_gain_percent"] == pytest.approx(100 * (one["auc"] - base["auc"]) / base["auc"])
    assert result["methods"]["unigram"]["rows"]["33"]["lookups_per_item"] == 2
    assert result["codes_of_another_time"]["first"]["auc"] == by_run["unigram", 40, 3, True, "first"]["auc"]


def test_a_method_on_top_of_another_costs_what_both_cost(done: tuple[dict[str, Any], Path]) -> None:
    methods = done[0]["methods"]
    (base,), (on_top,) = (methods[name]["rows"].values() for name in ("unigram", "sentencepiece"))
    assert on_top["train_s"] > base["train_s"]
    lines = [json.loads(line) for line in (done[1] / "runs.jsonl").read_text().splitlines()[1:]]
    assert done[0]["seconds"] > sum(line["run_s"] for line in lines)


def test_runs_of_other_examples_are_no_part_of_it(
    files: dict[str, str], done: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    swapped = pq.read_table(files["interactions"])
    users = np.roll(swapped.column("user_id").to_numpy(), 1)
    swapped = swapped.set_column(swapped.column_names.index("user_id"), "user_id", pa.array(users))
    pq.write_table(swapped, tmp_path / "interactions.parquet")
    with pytest.raises(sid.ArtifactError, match="holds runs of other data"):
        run(small(files | {"interactions": str(tmp_path / "interactions.parquet")}), done[1], [])


def test_what_is_written(done: tuple[dict[str, Any], Path]) -> None:
    result, folder = done
    assert json.loads((folder / "result.json").read_text()) == result
    report = (folder / "report.md").read_text()
    assert f"{result['methods']['unigram']['rows']['33']['auc']:.4f} [" in report
    for name in ("gain", "deciles", "lookups"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(result["world"]["prefix_cosines"]) == len(result["world"]["prefix_stability"]) == 2


def test_a_stopped_experiment_goes_on_where_it_was(
    files: dict[str, str], done: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    lines = (done[1] / "runs.jsonl").read_text().splitlines(keepends=True)
    marked = [line.replace('"parameters"', '"marked": 1, "parameters"') for line in lines]
    (tmp_path / "runs.jsonl").write_text("".join(marked[:3]) + marked[3][:50])  # killed while it wrote
    result = run(small(files), tmp_path, [])
    for name, found in result["methods"].items():
        for rows, cell in found["rows"].items():
            assert cell["auc"] == done[0]["methods"][name]["rows"][rows]["auc"]
    after = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()[1:]]
    assert [line.get("marked") for line in after] == [1, 1] + [None] * 10


def test_runs_of_other_settings_are_no_part_of_it(
    files: dict[str, str], done: tuple[dict[str, Any], Path]
) -> None:
    before = (done[1] / "runs.jsonl").read_text()
    with pytest.raises(sid.ArtifactError, match=r"runs\.jsonl holds runs of other data, codes or settings"):
        run(dataclasses.replace(small(files), max_train_positives=50), done[1], [])
    assert (done[1] / "runs.jsonl").read_text() == before


def test_the_plan_holds_all_methods_sizes_seeds_and_histories() -> None:
    runs = all_runs(Settings("a", "b", table_rows=(10, 20), seeds=(0, 1)))
    assert len(runs) == len(set(runs)) == (6 * 2 + 6) * 2 * 2 + 2
    assert {run.history for run in runs if run.method == "id_sid" and run.table_rows == 20} == {True, False}
    assert len(all_runs(Settings("a", "b").quick())) == 2 * (6 * 2 + 6) + 2


def test_figures_are_means_over_seeds() -> None:
    settings = Settings("a", "b", methods=("random_hash",), table_rows=(10,), seeds=(0, 1))
    figures = {"auc": 0.5, "auc_cold": None, "auc_by_decile": [0.25, None], "rows": 10}
    runs = {
        Run("random_hash", 10, seed, history): figures | {"auc": 0.5 + seed / 10}
        for seed in (0, 1)
        for history in (True, False)
    }
    cell = summarize(runs, settings)["methods"]["random_hash"]["rows"]["10"]
    assert cell["auc"] == pytest.approx(0.55)
    assert cell["auc_by_seed"] == [0.5, 0.6]
    assert (cell["auc_cold"], cell["auc_cold_gain_percent"], cell["rows"]) == (None, None, 10)
    assert cell["auc_by_decile"] == [0.25, None]


def test_a_mistake_is_one_line(files: dict[str, str], capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    wrong = ["--items", files["interactions"], "--interactions", files["interactions"]]
    assert main([*wrong, "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("singh2024: error: ")
