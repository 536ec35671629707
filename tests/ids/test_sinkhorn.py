"""Codes used evenly, by Sinkhorn's iterations."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from worlds import World, by_id, items_of, picked, worlds

import semid_tf as sid


@pytest.mark.parametrize("seed", range(5))
def test_cold_it_is_the_cheapest_assignment(seed: int) -> None:
    """With as many rows as codes, the even plan of least distance is what the Hungarian method finds."""
    distances = np.random.default_rng(seed).random((8, 8))
    found = sid.balanced_codes(distances, temperature=0.01, iterations=2000)
    assert found.dtype == np.int32
    assert found.tolist() == linear_sum_assignment(distances)[1].tolist()


def test_codes_come_out_nearly_even() -> None:
    """Points crowd near few of the codes; the nearest code leaves most of them unused."""
    random = np.random.default_rng(0)
    points, codes = random.normal(scale=0.3, size=(1024, 4)), random.normal(size=(32, 4))
    distances = np.square(points[:, None] - codes).sum(axis=2)
    nearest = np.bincount(distances.argmin(axis=1), minlength=32)
    balanced = np.bincount(sid.balanced_codes(distances, iterations=300), minlength=32)
    assert nearest.max() > 150
    assert (balanced > 0).all()
    assert np.abs(balanced - 32).max() <= 4
    # Dearer than the nearest, but far below a random even assignment.
    cost = distances[np.arange(1024), sid.balanced_codes(distances, iterations=300)].mean()
    assert distances.min(axis=1).mean() < cost < 0.8 * distances.mean()


def test_hot_it_has_no_preference_but_evenness() -> None:
    """One iteration by hand: columns are divided by their sums exp(-d / t), so the rarer choice wins."""
    distances = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 0.9]])
    # Mean distance above the nearest: 2.9 / 6; at temperature 1 weights are exp(-6 d / 2.9).
    weights = np.exp(-distances / (2.9 / 6))
    expected = (weights / weights.sum(axis=0)).argmax(axis=1)
    assert sid.balanced_codes(distances, temperature=1, iterations=1).tolist() == expected.tolist()
    assert expected.tolist() == [0, 0, 1]


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 9), st.booleans())
def test_a_permutation_of_rows_permutes_the_codes(seed: int, rows: int, width: int, coarse: bool) -> None:
    """Coarse distances have many ties and equal rows."""
    random = np.random.default_rng(seed)
    distances = random.random((rows, width))
    if coarse:
        distances = np.round(distances * 2)
    order = random.permutation(rows)
    codes = sid.balanced_codes(distances, iterations=20)
    np.testing.assert_array_equal(sid.balanced_codes(distances[order], iterations=20), codes[order])
    _, same = np.unique(distances, axis=0, return_inverse=True)
    assert all(len(set(codes[same == row])) == 1 for row in same)


def test_equal_distances_and_no_rows() -> None:
    assert sid.balanced_codes(np.ones((3, 4))).tolist() == [0, 0, 0]
    assert sid.balanced_codes(np.ones((0, 4))).shape == (0,)


def test_large_distances_do_not_vanish() -> None:
    """exp(-d) of such distances is 0; a plan in logarithms is not."""
    distances = np.array([[0.0, 1e6], [1e6, 2e6], [0.0, 1e9]])
    assert sid.balanced_codes(distances, temperature=1e-3).max() <= 1


@given(worlds(), st.randoms(use_true_random=False))
def test_candidates_are_reordered_whatever_the_order_of_rows(world: World, random: object) -> None:
    rows = list(range(len(world.items)))
    random.shuffle(rows)
    shuffled = np.array(rows, int)
    distances = np.sort(np.random.default_rng(len(rows)).random(world.candidates.shape), axis=1)
    found = sid.balanced_candidates(world.items, world.candidates, distances)
    again = sid.balanced_candidates(
        picked(world.items, shuffled), world.candidates[shuffled], distances[shuffled]
    )
    np.testing.assert_array_equal(again, found[shuffled])
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(world.candidates, axis=1))


@given(worlds())
def test_where_there_is_room_for_all_nothing_changes(world: World) -> None:
    distances = np.sort(np.random.default_rng(0).random(world.candidates.shape), axis=1)
    found = sid.balanced_candidates(world.items, world.candidates, distances, capacity=99)
    np.testing.assert_array_equal(found, world.candidates)


def test_who_has_another_good_choice_leaves() -> None:
    """Nearest first, a takes 0 and b must go far; balanced, a goes a little way and b stays."""
    items = items_of(["a", "b"], [[5, 0], [5, 0]])
    candidates = np.array([[0, 1], [0, 2]], np.int32)
    distances = np.array([[0.0, 0.1], [0.0, 3.0]])
    assert by_id(sid.relocate(items, candidates).items) == {"a": (5, 0), "b": (5, 2)}
    balanced = sid.balanced_candidates(items, candidates, distances)
    assert by_id(sid.relocate(items, balanced).items) == {"a": (5, 1), "b": (5, 0)}


def test_what_published_items_hold_is_not_to_be_had() -> None:
    """Z holds 0, so that a and b meet at 1; a goes on to 2, which is far for b. Z asks for nothing."""
    items = items_of(["a", "b", "z"], [[5, 0], [5, 0], [5, 0]])
    candidates = np.array([[0, 1, 2]] * 3, np.int32)
    distances = np.array([[0.0, 0.1, 0.2], [0.0, 0.1, 3.0], [0.0, 0.1, 0.2]])
    published = items_of(["z", "gone"], [[5, 0], [4, 1]])
    found = sid.balanced_candidates(items, candidates, distances, published=published)
    np.testing.assert_array_equal(found[2], candidates[2])
    placed = sid.relocate(items, found, published=published).items
    assert by_id(placed) == {"a": (5, 2), "b": (5, 1), "z": (5, 0)}


@given(worlds(), st.integers(1, 3))
def test_no_id_is_overfull_whatever_is_published(world: World, capacity: int) -> None:
    distances = np.sort(np.random.default_rng(1).random(world.candidates.shape), axis=1)
    published = picked(world.items, np.flatnonzero(world.early))
    found = sid.balanced_candidates(
        world.items, world.candidates, distances, capacity, published=published, iterations=5
    )
    np.testing.assert_array_equal(found[world.early], world.candidates[world.early])
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(world.candidates, axis=1))
    grown = sid.relocate(world.items, found, capacity, published)
    np.testing.assert_array_equal(grown.items.codes[world.early], published.codes)
    codes = grown.items.codes[~grown.unplaced].tolist()
    assert all(
        codes.count(own.tolist()) <= capacity for own in grown.items.codes[~world.early & ~grown.unplaced]
    )


def test_items_under_different_prefixes_of_88_bits_do_not_meet() -> None:
    """In 64 bits the first level would be lost, and the items would crowd one code."""
    codes = np.full((4, 8), 2047, np.int32)
    codes[:, 0] = np.arange(4)
    candidates = np.tile(np.array([[2047, 5]], np.int32), (4, 1))
    found = sid.balanced_candidates(items_of(list("abcd"), codes), candidates, np.array([[0.0, 1e-6]] * 4))
    np.testing.assert_array_equal(found, candidates)
    assert not sid.relocate(items_of(list("abcd"), codes), found).moved.any()


def test_far_more_items_than_room_stays_finite() -> None:
    names = [f"{row:04d}" for row in range(600)]
    items = items_of(names, np.zeros((600, 2)))
    candidates = np.tile(np.array([[0, 1]], np.int32), (600, 1))
    distances = np.stack([np.zeros(600), np.random.default_rng(0).random(600)], axis=1)
    found = sid.balanced_candidates(items, candidates, distances, iterations=500)
    assert sid.relocate(items, found).unplaced.sum() == 598


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        (np.zeros(3), "distances [3] must be a finite matrix [items, codes]."),
        (np.zeros((3, 0)), "distances [3, 0] must be a finite matrix [items, codes]."),
        (np.array([[0.0, np.nan]]), "distances [1, 2] must be a finite matrix [items, codes]."),
    ],
)
def test_distances_are_checked(distances: np.ndarray, message: str) -> None:
    with pytest.raises(sid.DataError, match=f"^{re.escape(message)}$"):
        sid.balanced_codes(distances)


def test_settings_are_checked() -> None:
    with pytest.raises(sid.ConfigError, match="temperature must be above 0 and iterations at least 1, got 0"):
        sid.balanced_codes(np.zeros((1, 1)), temperature=0)
    items = items_of(["a"], [[5, 0]])
    with pytest.raises(sid.DataError, match=r"distances have shape \[1, 2\], candidates \[1, 1\]; both must"):
        sid.balanced_candidates(items, np.array([[0]]), np.zeros((1, 2)))
