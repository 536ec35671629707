"""The experiment as a user runs it, on a small world; and its parts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from click.testing import CliRunner

import semid_tf as sid

pytest.importorskip("matplotlib")

from experiments.lin2025 import __main__ as command
from experiments.lin2025.__main__ import main, run
from experiments.lin2025.build import build
from experiments.lin2025.checks import possible
from experiments.lin2025.fits import refitted, trained
from experiments.lin2025.protocol import by_popularity, cold_figures, figures
from experiments.lin2025.report import markdown
from experiments.lin2025.runs import Run, all_runs, cold_run
from experiments.lin2025.settings import ABLATIONS, ALL, COLD, HEADLINE, QUICK_COLD, Setting
from experiments.lin2025.summary import over_seeds, summarize
from experiments.lin2025.world import World, read_world, with_validation, without_cold
from semid_tf.artifacts import fingerprint

TRAINING = sid.SequenceTraining(epochs=2, max_length=8, row_length=16, batch_rows=16)


def small(setting: Setting) -> Setting:
    return replace(
        setting,
        codebook_size=16,
        dim=8,
        id_dim=min(setting.id_dim, 8),
        training=TRAINING,
        members=min(setting.members, 2),
    )


FEW = {name: small(ALL[name]) for name in ("unified", "free_budget", "pieces_softmax")}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic catalogue with its interactions."""
    folder = tmp_path_factory.mktemp("tables")
    items = sid.synthetic_items(num_items=300, dim=16, seed=1)
    sid.write_tables(
        folder, items, sid.synthetic_interactions(items, num_users=120, events_per_user=8, seed=1)
    )
    return folder


@pytest.fixture(scope="module")
def world(tables: Path) -> World:
    return read_world(str(tables / "items.parquet"), str(tables / "interactions.parquet"))


@pytest.fixture(scope="module")
def done(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The result and the folder of a quick experiment."""
    folder = tmp_path_factory.mktemp("done")
    return run(world, folder, FEW, quick=True), folder


def arguments(folder: Path, output: Path) -> list[str]:
    files = ["--items", str(folder / "items.parquet"), "--interactions", str(folder / "interactions.parquet")]
    return [*files, "--output", str(output)]


def test_the_experiment_writes_what_it_found(done: tuple[dict[str, Any], Path]) -> None:
    result, folder = done
    runs = result["runs"]
    assert list(runs) == ["unified", "free_budget", "free_budget_refit"]
    for found in runs.values():
        assert 0 <= found["full"]["recall@10"] <= found["full_masked"]["recall@10"] <= 1
        assert found["sampled"]["hr@10"] >= found["full_masked"]["recall@10"]
        assert found["parameters"] > found["token_size"] / 2 > 0
        assert sum(part["targets"] for part in found["popularity"].values()) == 120
        assert found["seeds"] == 1
    assert len(runs["unified"]["codes"]["used"]) == 3
    assert runs["free_budget"]["cold"]["targets"] > 0 and "cold" not in runs["unified"]
    assert runs["free_budget_refit"]["train_s"] > runs["free_budget"]["train_s"] > 0
    for name in ("recall", "popularity", "codes"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "results.json").read_text()) == result


def test_all_figures_are_in_the_tables(done: tuple[dict[str, Any], Path]) -> None:
    result, folder = done
    text, unified = (folder / "results.md").read_text(), result["runs"]["unified"]
    shown = [*unified["sampled"].values(), *unified["full"].values(), *unified["full_masked"].values()]
    shown += result["runs"]["free_budget"]["cold"].values()
    shown += [figure for part in unified["popularity"].values() for figure in list(part.values())[2:4]]
    shown += [*unified["codes"]["used"], *unified["codes"]["unique_by_level"]]
    assert not [figure for figure in shown if isinstance(figure, float) and f"| {figure:.4f} |" not in text]
    assert f"| {unified['parameters']:,} |" in text and "±" not in text.split("deviation.")[1]


def test_a_stopped_experiment_goes_on_where_it_was(
    done: tuple[dict[str, Any], Path], world: World, tmp_path: Path
) -> None:
    lines = (done[1] / "runs.jsonl").read_text().splitlines(keepends=True)
    runs = [json.loads(line)["run"] for line in lines[1:]]
    assert [(each["name"], each["part"]) for each in runs] == [
        ("unified", "plain"),
        ("free_budget", "plain"),
        ("free_budget", "cold"),
        ("free_budget", "refit"),
    ]
    marked = "".join(line.replace('"train_s"', '"marked": 1, "train_s"') for line in lines[:3])
    (tmp_path / "runs.jsonl").write_text(marked + lines[3][:40])  # killed while it wrote
    again = run(world, tmp_path, FEW, quick=True)["runs"]
    for name, found in done[0]["runs"].items():
        assert again[name]["full_masked"] == found["full_masked"]
        assert again[name].get("cold") == found.get("cold")
        assert again[name].get("marked") == (None if name.endswith("refit") else 1)


# The quantizer of so few items may end with fewer than nine tenths of its codes in use.
@pytest.mark.filterwarnings("ignore::semid_tf.CodebookCollapseWarning")
def test_a_run_is_added_to_those_of_the_folder(
    done: tuple[dict[str, Any], Path], world: World, tmp_path: Path
) -> None:
    shutil.copytree(done[1], tmp_path, dirs_exist_ok=True)
    added = run(world, tmp_path, FEW, ["pieces_softmax"])
    assert list(added["runs"]) == [*done[0]["runs"], "pieces_softmax"]
    assert added["runs"]["unified"] == done[0]["runs"]["unified"]
    assert "| pieces_softmax |" in (tmp_path / "results.md").read_text()


def test_the_commands_last_line_is_the_result(
    done: tuple[dict[str, Any], Path], tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(done[1], tmp_path, dirs_exist_ok=True)  # all runs are there: nothing is trained
    monkeypatch.setattr(command, "ALL", FEW)
    told = CliRunner().invoke(main, [*arguments(tables, tmp_path), "--quick"], catch_exceptions=False)
    assert json.loads(told.stdout.splitlines()[-1]) == done[0]
    assert told.exit_code == 0


def test_held_out_items_are_in_no_training_event(world: World) -> None:
    held_out = without_cold(world, seed=3)
    assert 10 < held_out.cold.sum() < 60
    assert not held_out.counts[held_out.cold].any()
    assert not held_out.cold[held_out.split.validation.items - 1].any()
    targets = held_out.split.test
    cold, warm = held_out.cold_targets(targets), held_out.warm(targets)
    assert len(cold.items) + len(warm.items) == len(targets.items) and len(cold.items)
    assert held_out.cold[cold.items - 1].all()


def test_cold_items_are_ranked_by_content_among_all_items(world: World) -> None:
    held_out = without_cold(world, seed=2)
    model = build(replace(FEW["free_budget"], members=1), held_out, seed=1)
    vectors, targets = model.vectors(tf.range(world.num_items + 1)).numpy(), held_out.split.test
    ranks = []
    for user, wanted in zip(targets.users, targets.items, strict=True):
        if held_out.cold[wanted - 1]:
            history = targets.histories.last(np.array([user]), 8)
            scores = vectors @ model(tf.constant(history)).numpy()[0]
            others = set(range(1, world.num_items + 1)) - {wanted}
            touched = targets.histories.items[
                targets.histories.starts[user] : targets.histories.starts[user + 1]
            ]
            ranks.append(sum(scores[item] >= scores[wanted] for item in others - set(touched.tolist())))
    found = cold_figures(model, held_out)
    assert found["targets"] == len(ranks) > 5
    assert found["recall@20"] == pytest.approx(np.mean(np.array(ranks) < 20))
    assert found["mrr"] == pytest.approx(np.mean(1 / (np.array(ranks) + 1)), rel=1e-3)


def test_ids_alone_rank_cold_items_last(world: World) -> None:
    ids = cold_run("id_only_softmax", small(HEADLINE["id_only_softmax"]), world, seed=1)
    assert ids["targets"] > 5 and ids["recall@20"] == 0


def test_the_full_experiment_holds_items_out_of_more_runs() -> None:
    for quick, expected in ((True, QUICK_COLD), (False, COLD)):
        runs = all_runs(ALL, ALL, seeds=2, quick=quick)
        assert {each.name for each in runs if each.part == "cold"} == expected
        assert len(runs) == len(set(runs))
        seeds = {name: {each.seed for each in runs if each.name == name} for name in ALL}
        assert all(seeds[name] == ({0, 1} if name in HEADLINE else {0}) for name in ALL)
    assert QUICK_COLD < COLD <= set(HEADLINE)


def test_the_papers_token_size() -> None:
    # Beauty: 145,960 of 774,464 numbers (Lin et al. 2025, table 4).
    assert HEADLINE["unified"].token_size(12_101, 768) == 12_101 * 8 + 3 * 256 * 64
    assert HEADLINE["id_only"].token_size(12_101, 768) == 774_464


def test_compact_tokens_stay_within_the_papers_size() -> None:
    # 32 codes of a byte take the bytes of 8 numbers; 256 rows of 64; a map of the content for new items.
    compact = HEADLINE["compact_softmax"].token_size(12_101, 384)
    assert compact == 12_101 * 8 + 256 * 64 + 384 * 64
    assert compact < HEADLINE["unified"].token_size(12_101, 384)


def test_compact_items_have_fewer_numbers_than_were_trained(world: World) -> None:
    setting = replace(small(HEADLINE["compact_softmax"]), code_bytes=4)
    model, cost = trained("", setting, world, seed=1)
    table, rows = (world.num_items + 1) * 8, 256 * 8
    codes = world.num_items + 1  # four of a byte are one number
    assert cost["trained_parameters"] - cost["parameters"] == table - rows - codes
    assert isinstance(model.tower.tokens[0], sid.ProductToken)


def test_what_is_frozen_after_its_training_counts_as_learned(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.lin2025.build._FIRST_STAGE_STEPS", 2)
    one_stage, two_stages = (
        trained(name, replace(small(ALL[name]), training=replace(TRAINING, epochs=1)), world, seed=1)
        for name in ("unified", "two_stages")
    )
    assert two_stages.cost["parameters"] == one_stage.cost["parameters"]
    mlps = 2 * (512 * 256) + 2 * (16 * 512 + 256 * 8) + 512 + 256 + 8 + 256 + 512 + 16
    tokens = 3 * 16 * 8 + (world.num_items + 1) * 8
    backbone = sum(int(tf.size(weight)) for weight in one_stage.model.backbone.trainable_variables)
    assert one_stage.cost["parameters"] == mlps + tokens + backbone


def test_the_quantizer_behind_pieces_counts_as_learned(world: World) -> None:
    model, cost = trained("", FEW["pieces_softmax"], world, seed=1)
    quantizer = model.tower.tokens[0].quantizer
    quantizer.trainable = True
    frozen = sum(int(tf.size(weight)) for weight in quantizer.trainable_variables)
    quantizer.trainable = False
    assert cost["parameters"] == frozen + sum(int(tf.size(weight)) for weight in model.trainable_variables)
    assert frozen > 3 * 16 * 16


@pytest.mark.parametrize("name", ["unified", "pieces_softmax"])
def test_unique_rates_count_items_whose_codes_are_theirs_alone(world: World, name: str) -> None:
    model = build(FEW[name], world, seed=1)
    token = model.tower.tokens[0]
    if name == "unified":
        codes = token.encoder.codes(tf.constant(world.embeddings)).numpy()
    else:  # codes of three levels of 16, each with a piece of its own
        codes = token.piece_ids.numpy()[1:]
    found = figures(model, world, seed=1)["codes"]
    for level in range(3):
        prefixes = [tuple(row[: level + 1]) for row in codes.tolist()]
        alone = sum(prefixes.count(prefix) == 1 for prefix in prefixes)
        assert found["unique_by_level"][level] == pytest.approx(alone / 300)
        assert found["used"][level] == pytest.approx(len(set(codes[:, level])) / 16)
    assert found["unique_rate"] == found["unique_by_level"][-1] > 0


def test_items_met_equally_often_are_in_one_part() -> None:
    # Wanted: one never met, four met once, one each met 2, 3, 4, 5, 6 and 7 times; item 9 is no target.
    counts = np.array([0, 1, 2, 3, 4, 5, 6, 7, 9])
    items = np.array([2, 3, 1, 2, 4, 5, 2, 6, 7, 8, 2])
    ranks = np.array([0, 0, 99, 99, 0, 99, 99, 0, 0, 0, 99])
    parts = by_popularity(ranks, items, counts)
    assert {part: (found["items"], found["targets"]) for part, found in parts.items()} == {
        "0": (1, 1),
        "1": (1, 4),
        "2-3": (2, 2),
        "4-5": (2, 2),
        "6-9": (3, 2),
    }
    assert [found["recall@10"] for found in parts.values()] == [0, 0.25, 1, 0.5, 1]
    assert sum(found["items"] for found in parts.values()) == len(counts)


def test_few_targets_are_few_parts() -> None:
    parts = by_popularity(np.array([3, 4]), np.array([1, 2]), np.array([5, 8, 2]))
    assert list(parts) == ["2-5", "8"]
    assert all(found["targets"] == 1 and np.isfinite(found["ndcg@10"]) for found in parts.values())
    assert list(by_popularity(np.array([3]), np.array([1]), np.array([0]))) == ["0"]


def test_figures_are_means_over_seeds_with_their_spread() -> None:
    setting = FEW["unified"]

    def run_of(name: str, seed: int, part: str = "plain", setting: Setting = setting) -> Run:
        return Run(name, seed, part, fingerprint(setting))

    def found(recall: float) -> Mapping[str, Any]:
        return {"full_masked": {"recall@10": recall}, "sampled": {"hr@10": 0.5}, "parameters": 7}

    done = {
        run_of("unified", 0): found(0.25),
        run_of("unified", 1): found(0.75),
        run_of("unified", 0, "cold"): {"recall@10": 0.125, "targets": 3},
        run_of("unified", 2, setting=HEADLINE["unified"]): found(1.0),  # of another setting
        run_of("cosine", 0): found(0.5),
        run_of("cosine", 0, "refit"): found(0.625),
    }
    runs = summarize(done, {"unified": setting, "cosine": setting, "frequency": setting})
    assert list(runs) == ["unified", "cosine", "cosine_refit"]
    unified = runs["unified"]
    assert (unified["full_masked"]["recall@10"], unified["seeds"], unified["parameters"]) == (0.5, 2, 7)
    assert unified["spread"]["full_masked recall@10"] == pytest.approx(0.5**1.5)
    assert unified["spread"]["sampled hr@10"] == 0
    assert unified["cold"] == {"recall@10": 0.125, "targets": 3}
    assert not [path for path in unified["spread"] if path.startswith("cold")]
    assert "spread" not in runs["cosine"] and runs["cosine"]["seeds"] == 1


def test_the_spread_stands_beside_the_mean(done: tuple[dict[str, Any], Path]) -> None:
    first = done[0]["runs"]["unified"]
    second = json.loads(json.dumps(first))
    second["full_masked"]["recall@10"] += 0.02
    text = markdown(done[0] | {"runs": {"unified": over_seeds([first, second])}}, "command")
    assert f"| {first['full_masked']['recall@10'] + 0.01:.4f} ± 0.0141 |" in text


def test_a_refit_learns_from_the_validation_events_too_and_is_judged_by_the_last(world: World) -> None:
    more = with_validation(world)
    users = len(world.split.test.items)
    assert more.counts.sum() == world.counts.sum() + users == len(world.sequences.items) - users
    assert more.split.test is world.split.test and not len(more.split.validation.items)
    setting = FEW["free_budget"]
    model, cost = refitted("", setting, world, seed=1, epochs=[2, 1])
    by_hand = build(setting, more, seed=2)
    training = replace(TRAINING, seed=2, epochs=2)
    sid.refit_sequential("", by_hand, world.split.test.histories, training)
    by_hand.tower.borrow_ids()
    items = np.arange(1, 20, dtype=np.int32)
    np.testing.assert_allclose(model.members[0].vectors(items), by_hand.vectors(items), atol=1e-6)
    assert cost["epochs"] == 1 and cost["best_epochs"] == [2, 1]


@pytest.mark.parametrize("name", ["euclidean", "hstu", "frequency", "sampled_softmax", "pre_ln"])
def test_every_kind_of_setting_trains(world: World, name: str) -> None:
    setting = small(ABLATIONS[name])
    model, cost = trained(name, replace(setting, training=replace(TRAINING, epochs=1)), world, seed=1)
    assert cost["epochs"] == 1 and np.isfinite(cost["validation"]["mrr"])
    assert np.isfinite(model(np.array([[1, 2]], np.int32))).all()


def labelled(events: pa.Table, label: int) -> pa.Table:
    return events.append_column("label", pa.array([label] * len(events)))


def test_what_users_did_not_choose_and_unknown_items_are_left_out_and_counted(
    tables: Path, world: World, tmp_path: Path
) -> None:
    events = pq.read_table(tables / "interactions.parquet")
    place, kind = events.column_names.index("item_id"), events.schema.field("item_id").type
    unknown = events.slice(0, 7).set_column(place, "item_id", pa.array(["of another catalogue"] * 7, kind))
    parts = [labelled(events.slice(0, 40), 0), labelled(events, 1), labelled(unknown, 1)]
    pq.write_table(pa.concat_tables(parts), tmp_path / "i.parquet")
    read = read_world(str(tables / "items.parquet"), str(tmp_path / "i.parquet"))
    np.testing.assert_array_equal(read.sequences.items, world.sequences.items)
    assert read.about["interactions"] == len(events) == world.about["interactions"]
    assert read.about["interactions_of_label_0"] == 40 and read.about["interactions_of_unknown_items"] == 7
    assert read.about["users_tested"] == len(world.split.test.users)


def test_interactions_that_nobody_chose_are_refused(tables: Path, tmp_path: Path) -> None:
    events = pq.read_table(tables / "interactions.parquet").slice(0, 5)
    pq.write_table(labelled(events, 0), tmp_path / "i.parquet")
    with pytest.raises(sid.DataError, match="all 5 interactions have label 0"):
        read_world(str(tables / "items.parquet"), str(tmp_path / "i.parquet"))


def test_too_small_a_catalogue_is_one_line_before_any_training(tables: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, [*arguments(tables, tmp_path / "out"), "--quick"])
    assert done.exit_code == 2 and not (tmp_path / "out").exists()
    assert done.stderr.startswith(
        "lin2025: error: semantic_only needs 256 items with events in training, one a "
    )
    assert done.stderr.count("\n") == 1 and not done.stdout


def test_ablations_that_need_more_items_are_left_out_aloud(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = FEW | {"2x2048": replace(FEW["unified"], codebook_size=2048)}
    runs = all_runs(settings, settings, seeds=1, quick=False)
    kept = possible(runs, settings, world, ["unified", "free_budget"])
    assert {each.name for each in kept} == set(FEW)
    assert capsys.readouterr().err.startswith("lin2025: 2x2048 is left out: it needs 2048 items")
    with pytest.raises(sid.DataError, match="2x2048 needs 2048 items"):
        possible(runs, settings, world, ["2x2048"])


def test_items_held_out_of_training_are_no_items_to_start_codebooks_on(world: World) -> None:
    fewer = replace(FEW["unified"], codebook_size=int(np.count_nonzero(world.counts)))
    runs = all_runs({"unified": fewer}, ["unified"], seeds=1, quick=True)
    assert possible(runs, {"unified": fewer}, world, ["unified"]) == runs
    runs = all_runs({"unified": fewer}, ["unified"], seeds=1, quick=False)
    with pytest.raises(sid.DataError, match="unified needs"):
        possible(runs, {"unified": fewer}, world, ["unified"])


def test_a_user_who_touched_nearly_all_is_refused_before_any_training(world: World, tmp_path: Path) -> None:
    items = np.concatenate([np.arange(1, 300, dtype=np.int32), world.sequences.items])
    sequences = sid.Sequences(items, np.concatenate([[0], world.sequences.starts + 299]))
    busy = replace(world, sequences=sequences, split=sid.leave_one_out(sequences))
    with pytest.raises(sid.DataError, match="user 0 left 1 of the 300 items untouched, 99 are to be drawn"):
        run(busy, tmp_path / "out", FEW, quick=True)
    assert not (tmp_path / "out").exists()


def test_a_mistake_is_one_line(tables: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, arguments(tmp_path, tmp_path / "out"))
    assert done.exit_code == 2
    assert done.stderr.startswith("lin2025: error: ") and done.stderr.count("\n") == 1
