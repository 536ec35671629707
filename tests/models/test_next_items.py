"""Top items against NumPy, with indices of TFRS, and for items that came after training."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs
from models.sequence_worlds import CONTENT, COUNTS, MIXERS, NUM_ITEMS, model, pieces_tower, unified_tower

import semid_tf as sid

HISTORIES = np.array([[0, 0, 4, 9], [7, 0, 0, 3], [0, 0, 0, 0]], np.int32)


@pytest.fixture(scope="module")
def next_items() -> sid.NextItems:
    """Of a model with two tokens."""
    return sid.NextItems.of(model(), NUM_ITEMS)


def by_hand(next_items: sid.NextItems, k: int) -> list[list[int]]:
    vectors, best = next_items.vectors.numpy(), []
    for history in HISTORIES:
        seen = history[history > 0]
        state = next_items.model(tf.constant(seen[None])) if len(seen) else next_items.states(history[None])
        scores = vectors @ state.numpy()[0]
        best.append([item for item in np.argsort(-scores) if item > 0 and item not in seen][:k])
    return best


def test_top_items_equal_numpy_wherever_the_padding_stands(next_items: sid.NextItems) -> None:
    best = next_items.top(tf.constant(HISTORIES), 6)
    assert best.items.numpy().tolist() == by_hand(next_items, 6)
    states = next_items.states(tf.constant(HISTORIES)).numpy()
    chosen = next_items.vectors.numpy()[best.items]
    np.testing.assert_allclose(best.scores, np.einsum("bd,bkd->bk", states, chosen), atol=1e-4)


@pytest.mark.parametrize("mixer", MIXERS)
def test_a_user_without_a_history_gets_the_same_however_it_is_padded(mixer: str) -> None:
    next_items = sid.NextItems.of(model(mixer), NUM_ITEMS)
    first, *others = (next_items.top(tf.zeros((1, length), tf.int32), 6) for length in (0, 1, 4, 9))
    for other in others:
        np.testing.assert_array_equal(first.items, other.items)
        np.testing.assert_allclose(first.scores, other.scores, atol=1e-5)


def test_where_too_few_items_are_left_the_answer_ends_with_padding(next_items: sid.NextItems) -> None:
    items, scores = next_items.top(tf.constant([[4, 9, 7]]), NUM_ITEMS)
    assert sorted(items.numpy()[0, :-3]) == sorted({*range(1, NUM_ITEMS + 1)} - {4, 9, 7})
    assert items.numpy()[0, -3:].tolist() == [0, 0, 0]
    assert (scores.numpy()[0] <= -1e9).tolist() == [False] * (NUM_ITEMS - 3) + [True] * 3


@pytest.mark.parametrize("kind", ["BruteForce", "Streaming"])
def test_an_index_of_tfrs_gives_the_same(next_items: sid.NextItems, kind: str) -> None:
    index = getattr(tfrs.layers.factorized_top_k, kind)(k=6)
    next_items.fill(index, batch=7)
    _, items = index.query_with_exclusions(next_items.states(tf.constant(HISTORIES)), tf.constant(HISTORIES))
    assert items.numpy().tolist() == by_hand(next_items, 6)


def test_an_index_that_is_filled_anew_has_the_new_items(next_items: sid.NextItems) -> None:
    more = next_items.with_new(CONTENT[12:13])  # like the best one
    index = tfrs.layers.factorized_top_k.BruteForce(k=17)
    more.fill(index, batch=7)
    _, items = index.query_with_exclusions(more.states(tf.constant(HISTORIES)), tf.constant(HISTORIES))
    np.testing.assert_array_equal(items, more.top(tf.constant(HISTORIES), 17).items)
    assert NUM_ITEMS + 1 in items.numpy()


def test_scann_finds_them_too(next_items: sid.NextItems) -> None:
    pytest.importorskip("scann", reason="the package scann is not installed")
    index = tfrs.layers.factorized_top_k.ScaNN(k=6, num_leaves=2, num_leaves_to_search=2)
    next_items.fill(index)
    _, items = index.query_with_exclusions(next_items.states(tf.constant(HISTORIES)), tf.constant(HISTORIES))
    assert len(set(items.numpy()[0]) & set(by_hand(next_items, 6)[0])) >= 5


def test_a_new_item_stands_where_its_content_puts_it(next_items: sid.NextItems) -> None:
    more = next_items.with_new(CONTENT[:2])
    assert more.num_items == NUM_ITEMS + 2
    # Item 1 was never seen in training, so that content is all it has: its twin is its equal.
    np.testing.assert_allclose(more.vectors[NUM_ITEMS + 1], more.vectors[1], atol=1e-6)
    np.testing.assert_array_equal(more.vectors[: NUM_ITEMS + 1], next_items.vectors)
    histories = tf.constant([[3, NUM_ITEMS + 2]])
    assert NUM_ITEMS + 2 not in more.top(histories, 5).items.numpy()


def test_a_new_item_needs_finite_content(next_items: sid.NextItems) -> None:
    broken = np.where(np.arange(3)[:, None] == 1, np.nan, CONTENT[:3])
    with pytest.raises(sid.DataError, match=r"embeddings\[1\] is not finite; remove or mend that item"):
        next_items.with_new(broken)


def test_unseen_items_borrow_the_ids_of_their_nearest_neighbours() -> None:
    tower = unified_tower()
    tower.neighbours = 3
    made = model(tower=tower)
    ids = tower.tokens[1].table.numpy()
    content = CONTENT / np.linalg.norm(CONTENT, axis=1, keepdims=True)
    alike = np.where(COUNTS > 0, content @ content[0], -2)  # item 1 was never seen
    nearest = np.argsort(-alike)[:3]
    weights = np.exp(20 * alike[nearest]) * COUNTS[nearest]
    expected = weights @ ids[1 + nearest] / weights.sum()
    np.testing.assert_allclose(made.of_content(tf.constant(CONTENT[:1]))[0, 4:], expected, rtol=1e-4)
    others = made.vectors(tf.range(2, 21)).numpy()
    made.tower.borrow_ids()
    np.testing.assert_allclose(made.vectors(tf.constant([1]))[0, 4:], expected, rtol=1e-4)
    np.testing.assert_array_equal(made.vectors(tf.range(2, 21)), others)


def test_an_ensemble_adds_the_scores_of_its_members() -> None:
    members = [model(), model("gated")]
    together = sid.NextItems.of(sid.SequenceEnsemble(members), NUM_ITEMS).with_new(CONTENT[:1])
    scores = 0.0
    for member in members:
        alone = sid.NextItems.of(member, NUM_ITEMS).with_new(CONTENT[:1])
        scores += alone.states(tf.constant(HISTORIES)).numpy() @ alone.vectors.numpy().T
    best = together.top(tf.constant(HISTORIES), 6)
    np.testing.assert_allclose(best.scores, np.take_along_axis(scores, best.items.numpy(), 1), atol=1e-4)


def test_members_of_other_lengths_are_refused() -> None:
    other = sid.SequentialModel(model().tower, sid.Backbone([], 9), model().sequence_loss)
    with pytest.raises(sid.ConfigError, match=r"an ensemble needs members of one max_length, got \[6, 9\]"):
        sid.SequenceEnsemble([model(), other])


def test_a_new_item_has_the_vector_of_its_codes() -> None:
    made = model(tower=pieces_tower())
    codes, ids = made.tower.tokens
    vectors = made.vectors(tf.range(1, 4)).numpy()
    np.testing.assert_allclose(made.of_content(tf.constant(CONTENT[:3]))[:, :4], vectors[:, :4], atol=1e-6)
    assert not np.any(made.of_content(tf.constant(CONTENT[:3]))[:, 4:]) and vectors[:, 4:].all()
    assert not codes.quantizer.trainable_variables and ids.trainable_variables


def test_more_items_than_there_are_are_refused(next_items: sid.NextItems) -> None:
    with pytest.raises(sid.DataError, match="k must lie between 1 and the 20 items, got 21"):
        next_items.top(tf.constant(HISTORIES), 21)
