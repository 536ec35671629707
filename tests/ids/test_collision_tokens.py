"""An extra code tells items apart: no matter the order, again and again, and when items are added."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import collisions
from worlds import World, by_id, items_of, picked, worlds

import semid_tf as sid


@given(worlds())
def test_as_one_item_after_another(world: World) -> None:
    early = sid.add_collision_tokens(picked(world.items, np.flatnonzero(world.early)), 99)
    assert by_id(early) == collisions.tokens(by_id(picked(world.items, np.flatnonzero(world.early))), {})
    found = sid.add_collision_tokens(world.items, 99, early)
    assert found.codes.dtype == np.int32
    assert found.item_ids.tolist() == world.items.item_ids.tolist()
    assert by_id(found) == collisions.tokens(by_id(world.items), by_id(early))


@given(worlds())
def test_no_two_items_are_alike_and_codes_stay(world: World) -> None:
    found = sid.add_collision_tokens(world.items, 99)
    assert len({tuple(row) for row in found.codes.tolist()}) == len(found)
    np.testing.assert_array_equal(found.codes[:, :-1], world.items.codes)


@given(worlds(), st.randoms(use_true_random=False))
def test_no_order_of_rows_matters(world: World, random: object) -> None:
    rows = list(range(len(world.items)))
    random.shuffle(rows)
    early = sid.add_collision_tokens(picked(world.items, np.flatnonzero(world.early)), 99)
    shuffled = sid.add_collision_tokens(picked(world.items, np.array(rows, int)), 99, early)
    assert by_id(shuffled) == by_id(sid.add_collision_tokens(world.items, 99, early))


@given(worlds())
def test_what_was_published_never_moves(world: World) -> None:
    """The early items come first, then all, then all once more; some early ones are gone by then."""
    early = sid.add_collision_tokens(picked(world.items, np.flatnonzero(world.early)), 99)
    published = early.extended(sid.add_collision_tokens(world.items, 99, early))
    assert by_id(early).items() <= by_id(published).items()
    rest = picked(world.items, np.arange(len(world.items))[1::2])
    again = sid.add_collision_tokens(rest, 99, published)
    assert by_id(again).items() <= by_id(published).items()


def test_after_save_and_load(tmp_path: Path) -> None:
    items = items_of(["d", "b", "c", "a"], [[1, 1]] * 4)
    first = sid.add_collision_tokens(items_of(["d", "b"], [[1, 1]] * 2), 9)
    first.save(tmp_path / "published.parquet")
    published = sid.ItemCodes.load(tmp_path / "published.parquet")
    assert by_id(published) == {"b": (1, 1, 0), "d": (1, 1, 1)}
    assert by_id(sid.add_collision_tokens(items, 9, published)) == {
        **{"b": (1, 1, 0), "d": (1, 1, 1)},
        **{"a": (1, 1, 2), "c": (1, 1, 3)},
    }


def test_the_token_of_an_item_that_is_gone_stays_taken_while_it_is_published() -> None:
    published = sid.add_collision_tokens(items_of(["a", "b", "c"], [[7]] * 3), 9)
    now = items_of(["a", "c", "x"], [[7]] * 3)
    assert by_id(sid.add_collision_tokens(now, 9, published))["x"] == (7, 3)
    without_b = picked(published, np.array([0, 2]))
    assert by_id(sid.add_collision_tokens(now, 9, without_b))["x"] == (7, 1)


def test_published_codes_stand_where_the_quantizer_says_otherwise_now() -> None:
    published = items_of(["a"], [[7, 3, 0]])
    assert by_id(sid.add_collision_tokens(items_of(["a"], [[7, 4]]), 9, published)) == {"a": (7, 3, 0)}


def test_more_items_than_tokens_are_named() -> None:
    items = items_of(["d", "b", "c", "a"], [[1, 2], [1, 2], [0, 0], [1, 2]])
    assert sid.add_collision_tokens(items, 3).codes[:, -1].max() == 2
    message = (
        "items with codes 1-2, such as 'd', need 3 tokens, but there are 2; raise num_tokens, "
        "or relocate first."
    )
    with pytest.raises(sid.CodesError, match=f"^{re.escape(message)}$"):
        sid.add_collision_tokens(items, 2)


def test_published_codes_that_do_not_fit() -> None:
    items = items_of(["a"], [[1, 2]])
    with pytest.raises(sid.CodesError, match="codes have 2 levels, the codes and a token have 3; both must"):
        sid.add_collision_tokens(items, 9, items_of(["a"], [[1, 2]]))
    with pytest.raises(sid.CodesError, match="two published items have the same Semantic ID"):
        sid.add_collision_tokens(items, 9, items_of(["x", "y"], [[1, 2, 0], [1, 2, 0]]))


def test_another_quantizer_is_refused() -> None:
    items = sid.ItemCodes(np.array(["a"], object), np.zeros((1, 2), np.int32), "new")
    published = sid.ItemCodes(np.array(["a"], object), np.zeros((1, 3), np.int32), "old")
    with pytest.raises(sid.ProvenanceError, match="are of quantizer new, the published ones of old; encode"):
        sid.add_collision_tokens(items, 9, published)


def test_88_bits_of_codes() -> None:
    """Items that differ in the first level only, far beyond 64 bits, do not meet."""
    codes = np.full((4, 8), 2047)
    codes[:2, 0] = 0
    found = by_id(sid.add_collision_tokens(items_of(["a", "b", "c", "d"], codes), 9))
    assert [row[-1] for row in found.values()] == [0, 1, 0, 1]
