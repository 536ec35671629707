"""The benchmark's padded rows teach the same as packed ones."""

from __future__ import annotations

import numpy as np
import pytest

import semid_tf as sid
from benchmarks import sequential


def test_padded_rows_hold_the_same_pairs() -> None:
    sequences = sid.Sequences(np.arange(1, 20, dtype=np.int32), np.array([0, 3, 4, 12, 19]))
    pairs = []
    for made in (sequential._packed(sequences), sequential._padded(sequences)):
        assert made.num_sequences == 3
        rows = [(batch.items, batch.targets, batch.places) for batch in made.batches]
        items, targets, places = (
            np.concatenate([part.ravel() for part in parts]) for parts in zip(*rows, strict=True)
        )
        taught = targets > 0
        pairs.append(sorted(zip(items[taught], targets[taught], places[taught], strict=True)))
    assert pairs[0] == pairs[1] and len(pairs[0]) == 2 + 7 + 6


def test_medians_are_by_column() -> None:
    rounds = [sequential.Figures(1, 30, 5), sequential.Figures(3, 10, 6), sequential.Figures(2, 20, 9)]
    assert sequential._medians(rounds) == sequential.Figures(2, 20, 6)


def test_padded_ranking_equals_packed_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    world = sequential._made_up()
    few = sid.Sequences(world.sequences.items[: world.sequences.starts[40]], world.sequences.starts[:41])
    small = world._replace(sequences=few)
    model, split = sequential._model(small, "binary", semantic=False), sid.leave_one_out(few)
    found: list[np.ndarray] = []
    ranks_of = sid.ranks_of
    monkeypatch.setattr(sid, "ranks_of", lambda *args: found.append(ranks_of(*args)) or found[-1])
    sequential._padded_ranks(model, split.test, len(world.embeddings))
    ours = sid.next_item_ranks(model, split.test, len(world.embeddings))
    np.testing.assert_allclose(np.concatenate(found[::2]), ours.full, atol=2)  # near ties
