"""Items move to the nearest free code: as a plain loop does it, in any order of the rows, and for good."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import collisions
from worlds import World, by_id, items_of, picked, worlds

import semid_tf as sid
from semid_tf.ids import relocation

CAPACITIES = st.integers(1, 3)


def early_part(world: World, capacity: int) -> sid.ItemCodes:
    """What was published when only the early items were there."""
    rows = np.flatnonzero(world.early)
    return sid.relocate(picked(world.items, rows), world.candidates[rows], capacity).items


@given(worlds(), CAPACITIES)
def test_as_a_plain_loop(world: World, capacity: int) -> None:
    early = early_part(world, capacity)
    found = sid.relocate(world.items, world.candidates, capacity, early)
    wanted = dict(zip(world.items.item_ids, world.candidates.tolist(), strict=True))
    expected, unplaced = collisions.relocated(by_id(world.items), wanted, capacity, by_id(early))
    assert by_id(found.items) == expected
    assert set(world.items.item_ids[found.unplaced]) == unplaced
    np.testing.assert_array_equal(found.moved, (found.items.codes != world.items.codes).any(axis=1))


@given(worlds(), CAPACITIES)
def test_in_small_blocks_as_in_one(world: World, capacity: int) -> None:
    whole = sid.relocate(world.items, world.candidates, capacity)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relocation, "_CELLS", 1)
        in_blocks = sid.relocate(world.items, world.candidates, capacity)
    np.testing.assert_array_equal(in_blocks.items.codes, whole.items.codes)
    np.testing.assert_array_equal(in_blocks.unplaced, whole.unplaced)


@given(worlds(), CAPACITIES)
def test_nothing_is_overfull_but_for_those_without_room(world: World, capacity: int) -> None:
    found = sid.relocate(world.items, world.candidates, capacity)
    load = Counter(map(tuple, found.items.codes[~found.unplaced].tolist()))
    assert all(size <= capacity for size in load.values())
    np.testing.assert_array_equal(found.items.codes[:, :-1], world.items.codes[:, :-1])
    np.testing.assert_array_equal(found.items.codes[found.unplaced], world.items.codes[found.unplaced])
    for row in np.flatnonzero(found.unplaced):  # every one of their candidates is full
        prefix = tuple(world.items.codes[row, :-1].tolist())
        assert all(load[(*prefix, code)] == capacity for code in world.candidates[row].tolist())


@given(worlds(), CAPACITIES, st.randoms(use_true_random=False))
def test_no_order_of_rows_matters(world: World, capacity: int, random: object) -> None:
    rows = list(range(len(world.items)))
    random.shuffle(rows)
    shuffled = np.array(rows, int)
    early = early_part(world, capacity)
    found = sid.relocate(picked(world.items, shuffled), world.candidates[shuffled], capacity, early)
    assert by_id(found.items) == by_id(sid.relocate(world.items, world.candidates, capacity, early).items)


@given(worlds(), CAPACITIES)
def test_what_was_published_never_moves(world: World, capacity: int) -> None:
    early = early_part(world, capacity)
    grown = sid.relocate(world.items, world.candidates, capacity, early).items
    published = early.extended(grown)
    assert by_id(early).items() <= by_id(published).items()
    again = sid.relocate(world.items, world.candidates, capacity, published)
    assert by_id(again.items) == by_id(grown)
    assert not again.unplaced.any()


def test_after_save_and_load(tmp_path: Path) -> None:
    items = items_of(["c", "a", "b"], [[5, 1]] * 3)
    candidates = np.array([[1, 4, 2], [1, 2, 4], [1, 2, 0]], np.int32)
    first = sid.relocate(picked(items, np.array([0])), candidates[:1]).items
    first.save(tmp_path / "published.parquet")
    published = sid.ItemCodes.load(tmp_path / "published.parquet")
    # Alone, c kept its code; a and b both want 2 then, and a comes first.
    found = by_id(sid.relocate(items, candidates, 1, published).items)
    assert found == {"c": (5, 1), "a": (5, 2), "b": (5, 0)}


def test_by_hand() -> None:
    """Three items on one code: the first by id keeps it, the next moves, the last has no room."""
    items = items_of(["z", "y", "x", "w"], [[3, 0], [3, 0], [3, 0], [4, 0]])
    found = sid.relocate(items, np.array([[0, 2], [0, 2], [0, 1], [0, 1]]))
    assert by_id(found.items) == {"x": (3, 0), "y": (3, 2), "z": (3, 0), "w": (4, 0)}
    assert found.moved.tolist() == [False, True, False, False]
    assert found.unplaced.tolist() == [True, False, False, False]
    assert not sid.relocate(items, np.array([[0, 2]] * 4), capacity=2).unplaced.any()


def test_tokens_after_relocation_leave_nothing_shared() -> None:
    items = items_of(["z", "y", "x"], [[3, 0]] * 3)
    moved = sid.relocate(items, np.array([[0, 2]] * 3)).items
    assert by_id(sid.add_collision_tokens(moved, 2)) == {"x": (3, 0, 0), "y": (3, 2, 0), "z": (3, 0, 1)}


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        (np.array([[0, 1]]), "candidates are int64 [1, 2]; integers [2, k] are needed."),
        (np.zeros((2, 0), int), "candidates are int64 [2, 0]; integers [2, k] are needed."),
        (np.zeros((2, 1)), "candidates are float64 [2, 1]; integers [2, k] are needed."),
        (np.array([[0, -1], [1, 0]]), "a candidate is -1; codes begin at 0."),
        (
            np.array([[0, 3], [2, 0]]),
            "candidates[1] lacks 1, the code of item 'b'; candidates must be of the same quantizer and "
            "embeddings as the codes.",
        ),
    ],
)
def test_candidates_are_checked(candidates: np.ndarray, message: str) -> None:
    with pytest.raises(sid.CodesError, match=f"^{re.escape(message)}$"):
        sid.relocate(items_of(["a", "b"], [[5, 0], [5, 1]]), candidates)


def test_settings_are_checked() -> None:
    items = items_of(["a"], [[5, 0]])
    with pytest.raises(sid.ConfigError, match="capacity must be at least 1, got 0"):
        sid.relocate(items, np.array([[0]]), capacity=0)
    with pytest.raises(sid.CodesError, match="codes have 3 levels, the published codes have 2"):
        sid.relocate(items, np.array([[0]]), published=items_of(["a"], [[5, 0, 1]]))
