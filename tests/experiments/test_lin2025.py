"""The experiment as a user runs it, on a small world; and its parts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import semid_tf as sid
from experiments.lin2025 import __main__ as command
from experiments.lin2025.build import build
from experiments.lin2025.protocol import refitted, trained
from experiments.lin2025.settings import ABLATIONS, HEADLINE, Setting
from experiments.lin2025.world import World, read_world, with_validation, without_cold

TRAINING = sid.SequenceTraining(epochs=2, max_length=8, row_length=16, batch_rows=16)


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


def small(setting: Setting) -> Setting:
    return replace(
        setting,
        codebook_size=16,
        dim=8,
        id_dim=min(setting.id_dim, 8),
        training=TRAINING,
        members=min(setting.members, 2),
    )


def test_the_command_writes_what_it_found(
    tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"unified": small(HEADLINE["unified"]), "free_budget": small(HEADLINE["free_budget"])}
    monkeypatch.setattr(command, "HEADLINE", few)
    monkeypatch.setattr(command, "_ALL", few)
    arguments = ["--items", str(tables / "items.parquet"), "--output", str(tmp_path), "--quick"]
    arguments += ["--interactions", str(tables / "interactions.parquet")]
    done = CliRunner().invoke(command.main, arguments, catch_exceptions=False)
    runs = json.loads(done.stdout.splitlines()[-1])["runs"]
    assert list(runs) == ["unified", "free_budget", "free_budget_refit"]
    for run in runs.values():
        assert 0 <= run["full"]["recall@10"] <= run["full_masked"]["recall@10"] <= 1
        assert run["sampled"]["hr@10"] >= run["full_masked"]["recall@10"]
        assert run["parameters"] > run["token_size"] / 2 > 0 and run["train_s"] > 0
    assert len(runs["unified"]["codes"]["used"]) == 3
    assert runs["free_budget"]["cold"]["targets"] > 0
    assert "| unified |" in (tmp_path / "results.md").read_text()
    assert (tmp_path / "recall.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "results.json").read_text())["runs"] == runs


def test_held_out_items_are_in_no_training_event(world: World) -> None:
    held_out = without_cold(world, seed=3)
    assert 10 < held_out.cold.sum() < 60
    assert not held_out.counts[held_out.cold].any()
    assert not held_out.cold[held_out.split.validation.items - 1].any()
    targets = held_out.split.test
    cold, warm = held_out.cold_targets(targets), held_out.warm(targets)
    assert len(cold.items) + len(warm.items) == len(targets.items) and len(cold.items)
    assert held_out.cold[cold.items - 1].all()


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
    model, cost, _ = trained("", setting, world, seed=1)
    assert cost["trained_parameters"] - cost["parameters"] == (world.num_items + 1) * 8 - 256 * 8
    assert isinstance(model.tower.tokens[0], sid.ProductToken)


def test_a_refit_learns_from_the_validation_events_too_and_is_judged_by_the_last(world: World) -> None:
    more = with_validation(world)
    users = len(world.split.test.items)
    assert more.counts.sum() == world.counts.sum() + users == len(world.sequences.items) - users
    assert more.split.test is world.split.test and not len(more.split.validation.items)
    setting = small(HEADLINE["free_budget"])
    model, cost, epochs = refitted("", setting, world, seed=1, epochs=[2, 1])
    by_hand = build(setting, more, seed=2)
    training = replace(TRAINING, seed=2, epochs=2)
    sid.refit_sequential("", by_hand, world.split.test.histories, training)
    by_hand.tower.borrow_ids()
    items = np.arange(1, 20, dtype=np.int32)
    np.testing.assert_allclose(model.members[0].vectors(items), by_hand.vectors(items), atol=1e-6)
    assert cost["epochs"] == 1 and epochs == [2, 1]


@pytest.mark.parametrize(
    "name", ["euclidean", "two_stages", "hstu", "frequency", "sampled_softmax", "pre_ln"]
)
def test_every_kind_of_setting_trains(world: World, name: str) -> None:
    setting = small(ABLATIONS[name])
    model, cost, _ = trained(name, replace(setting, training=replace(TRAINING, epochs=1)), world, seed=1)
    assert cost["epochs"] == 1 and np.isfinite(cost["validation"]["mrr"])
    assert np.isfinite(model(np.array([[1, 2]], np.int32))).all()
