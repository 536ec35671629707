"""What a ranker knows of a history, with each part that may be passed to it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid

DIM, ITEMS = 4, 20
CONFIG = sid.RankerConfig(dim=DIM, recency_steps=3, hidden_dims=(5,), dropout=0.0)
HISTORY = np.array([[0, 0, 3, 7], [1, 2, 3, 20], [0, 0, 0, 0]], np.int32)
CANDIDATES = np.array([[1, 5], [2, 20], [4, 5]], np.int32)
PARTS = {
    "mean": lambda: sid.MeanHistory(3),
    "likeness": lambda: sid.HistoryAttention(3),
    "din": lambda: sid.DINAttention(3, hidden_dim=6),
    "transformer": lambda: sid.HistoryTransformer(3, num_heads=2),
    "two views": lambda: sid.TwoViews(sid.DINAttention(3)),
}


def randomize(model: tf_keras.Model, scale: float = 0.5) -> None:
    """Weights that differ from their start."""
    random = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(random.normal(scale=scale, size=weight.shape))


def ranker(part: sid.History, width: int = DIM) -> sid.Ranker:
    """Over items that are one piece each."""
    table = sid.PieceEmbedding(ITEMS + 1, width)
    made = sid.Ranker(CONFIG, sid.CatalogueEmbedding.of(np.arange(1, ITEMS + 1)[:, None], table), part)
    randomize(made)
    return made


def scores(model: sid.Ranker, history: np.ndarray, candidates: np.ndarray = CANDIDATES) -> np.ndarray:
    """Logits [b, c]."""
    return model({"history": tf.constant(history), "candidates": tf.constant(candidates)}).numpy()


@pytest.fixture(scope="module", params=PARTS)
def model(request: pytest.FixtureRequest) -> sid.Ranker:
    """A ranker with each part in turn; not to be changed."""
    return ranker(PARTS[request.param]())


def test_padding_stands_anywhere_and_tells_nothing(model: sid.Ranker) -> None:
    longer = np.pad(HISTORY, ((0, 0), (2, 0)))
    longer[0] = [0, 3, 0, 7, 0, 0]
    np.testing.assert_allclose(scores(model, longer), scores(model, HISTORY), atol=1e-5)


def test_the_order_of_candidates_tells_nothing(model: sid.Ranker) -> None:
    swapped = scores(model, HISTORY, CANDIDATES[:, ::-1])
    np.testing.assert_allclose(swapped[:, ::-1], scores(model, HISTORY), atol=1e-5)


def test_an_empty_history_is_zeros(model: sid.Ranker) -> None:
    vectors = model.item_embedding(tf.constant(HISTORY[2:]))
    user = model.user(vectors, tf.constant(HISTORY[2:]) > 0)
    view = model.attention.view(user, model.item_embedding(tf.constant(CANDIDATES[2:])))
    assert not view.interest.numpy().any()
    assert not view.alike.numpy().any()


def test_every_weight_learns(model: sid.Ranker) -> None:
    inputs = {"history": tf.constant(HISTORY), "candidates": tf.constant(CANDIDATES)}
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(inputs) * [[1.0, 2.0]])
    gradients = tape.gradient(loss, model.attention.trainable_weights)
    assert len(gradients) >= 2
    for weight, gradient in zip(model.attention.trainable_weights, gradients, strict=True):
        assert gradient is not None and tf.convert_to_tensor(gradient).numpy().any(), weight.name


def test_a_keras_file_keeps_the_part(model: sid.Ranker, tmp_path: Path) -> None:
    model.save(tmp_path / "it.keras")
    again = tf_keras.models.load_model(tmp_path / "it.keras", compile=False)
    assert type(again.attention) is type(model.attention)
    np.testing.assert_allclose(scores(again, HISTORY), scores(model, HISTORY), atol=1e-6)


def test_of_ten_thousand_events_a_part_that_asks_much_sees_the_latest(model: sid.Ranker) -> None:
    events = np.random.default_rng(2).integers(1, ITEMS + 1, (1, 10_000)).astype(np.int32)
    padded = np.stack([events, np.zeros_like(events)], axis=-1).reshape(1, -1)  # padding behind each
    candidates = np.arange(1, ITEMS + 1, dtype=np.int32)[None, :]
    found = scores(model, padded, candidates)
    np.testing.assert_allclose(found, scores(model, events, candidates), rtol=1e-3, atol=1e-3)
    part = getattr(model.attention, "history", model.attention)
    if most := getattr(part, "max_history", 0):
        np.testing.assert_allclose(found, scores(model, events[:, -most:], candidates), rtol=1e-3, atol=1e-3)
        vectors = model.item_embedding(tf.constant(padded))
        assert tf.nest.flatten(model.user(vectors, tf.constant(padded) > 0))[0].shape[1] == most == 500


@pytest.mark.parametrize("name", ["mean", "likeness", "din", "transformer"])
def test_settings_can_name_a_part(name: str) -> None:
    config, table = dataclasses.replace(CONFIG, history=name), sid.PieceEmbedding(ITEMS + 1, DIM)
    catalogue = sid.CatalogueEmbedding.of(np.arange(1, ITEMS + 1)[:, None], table)
    made = sid.Ranker(config, catalogue)
    assert type(made.attention) is type(PARTS[name]())
    assert made.attention.recency_steps == CONFIG.recency_steps
    assert type(sid.Ranker(config, catalogue, sid.MeanHistory(2)).attention) is sid.MeanHistory


def test_how_much_of_a_history_is_seen_can_be_chosen() -> None:
    long = np.arange(1, 13, dtype=np.int32)[None, :]
    for part in (sid.DINAttention(3, max_history=4), sid.HistoryTransformer(3, max_history=4)):
        model = ranker(part)
        seen = scores(model, long, CANDIDATES[:1])
        np.testing.assert_allclose(scores(model, long[:, -4:], CANDIDATES[:1]), seen, rtol=1e-4, atol=1e-5)
        assert np.abs(scores(model, long[:, -3:], CANDIDATES[:1]) - seen).max() > 1e-3
        assert type(part).from_config(part.get_config()).max_history == 4
        with pytest.raises(sid.ConfigError, match="max_history must be at least 1, got 0"):
            type(part)(3, max_history=0)


def test_the_mean_is_one_for_all_candidates_and_weighs_by_recency() -> None:
    part = sid.MeanHistory(2)
    part.build()
    part.match_recency.assign(np.log([1.0, 3.0]))
    vectors = tf.constant([[[2.0, 0.0], [0.0, 8.0]]])
    user = part.user(vectors, tf.constant([[True, True]]))
    view = part.view(user, tf.zeros((1, 3, 2)))
    np.testing.assert_allclose(view.interest, [[[1, 4]] * 3])
    np.testing.assert_allclose(view.alike, [[[1.5, 2]] * 3], atol=1e-6)


def test_the_activation_unit_by_numpy() -> None:
    model = ranker(PARTS["din"]())
    part, items = model.attention, model.item_embedding.embedding.table.numpy()
    hidden, out = part.hidden.get_weights(), part.weight.get_weights()
    expected = np.zeros(DIM)
    for age, index in enumerate(HISTORY[1, ::-1]):
        item, candidate = items[index], items[5]
        seen = np.concatenate([item, candidate, item * candidate, item - candidate])
        weight = np.maximum(seen @ hidden[0] + hidden[1], 0) @ out[0] + out[1]
        expected += (weight + part.match_recency.numpy()[min(age, 2)]) * item
    user = model.user(model.item_embedding(tf.constant(HISTORY[1:2])), tf.constant(HISTORY[1:2]) > 0)
    found = part.view(user, model.item_embedding(tf.constant([[5]]))).alike
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["mean", "likeness", "din", "transformer"])
def test_two_views_are_two_rankers(name: str) -> None:
    """A candidate with a part of its own ranks as by sums alone, one without as by shared parts alone."""
    both, plain = ranker(sid.TwoViews(PARTS[name]()), 2 * DIM), ranker(PARTS[name]())
    rows = both.item_embedding.embedding.table.numpy()
    rows[[1, 4], DIM:] = 0
    both.item_embedding.embedding.table.assign(rows)
    for mine, other in zip(plain.layers, both.layers, strict=True):
        if mine is not plain.item_embedding:
            mine.set_weights(other.get_weights())
    found = scores(both, HISTORY)
    for keep, has_own in ((0.0, False), (1.0, True)):
        plain.item_embedding.embedding.table.assign(rows[:, :DIM] + keep * rows[:, DIM:])
        chosen = rows[CANDIDATES, DIM:].any(axis=-1) == has_own
        assert chosen.any()
        np.testing.assert_allclose(found[chosen], scores(plain, HISTORY)[chosen], rtol=1e-4, atol=1e-5)
