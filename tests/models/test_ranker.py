"""The ranker against NumPy, its symmetries, and whether it learns."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from reference import ranking as reference

import semid_tf as sid

NUM_ITEMS, DIM = 30, 4
SPACE = sid.CodeSpace(2, 8)
# Fewer steps of recency than places in a history, so that the oldest share one.
CONFIG = sid.RankerConfig(dim=DIM, recency_steps=3, num_cross_layers=2, hidden_dims=(6, 5), dropout=0.5)
HISTORY = np.array([[0, 0, 3, 7], [1, 2, 3, 30], [0, 0, 0, 0]], np.int32)
CANDIDATES = np.array([[1, 5, 9, 0, 30], [2, 2, 7, 8, 9], [4, 5, 6, 7, 8]], np.int32)


def random_ranker(config: sid.RankerConfig = CONFIG) -> sid.Ranker:
    """A ranker over random codes with weights that differ from their start."""
    codes = np.random.default_rng(0).integers(0, 8, (NUM_ITEMS, 2))
    tokenizer = sid.NgramTokenizer(SPACE)
    pieces = sid.PieceEmbedding(tokenizer.num_rows, DIM)
    ranker = sid.Ranker(config, sid.CatalogueEmbedding.of(tokenizer.encode(codes), pieces))
    random = np.random.default_rng(1)
    for weight in ranker.trainable_weights:
        weight.assign(random.normal(scale=0.7, size=weight.shape))
    return ranker


@pytest.fixture(scope="module")
def ranker() -> sid.Ranker:
    """A random ranker; not to be changed."""
    return random_ranker()


def scores(ranker: sid.Ranker, history: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Logits [b, c]."""
    return ranker({"history": tf.constant(history), "candidates": tf.constant(candidates)}).numpy()


def numpy_scores(ranker: sid.Ranker, history: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """The same from the weights alone."""
    return reference.logits(reference.weights_of(ranker), history, candidates)


@pytest.mark.parametrize(
    "config",
    [CONFIG, dataclasses.replace(CONFIG, num_cross_layers=0), dataclasses.replace(CONFIG, hidden_dims=())],
    ids=["cross and MLP", "no cross", "no hidden layer"],
)
def test_scores_are_those_of_numpy(config: sid.RankerConfig) -> None:
    ranker = random_ranker(config)
    found = scores(ranker, HISTORY, CANDIDATES)
    np.testing.assert_allclose(found, numpy_scores(ranker, HISTORY, CANDIDATES), rtol=1e-3, atol=1e-4)
    assert found.std() > 0.05


@pytest.mark.parametrize("history", [[[3, 7, 0, 0]], [[0, 3, 0, 7, 0, 0]], [[3, 7]]], ids=str)
def test_padding_of_a_history_changes_nothing(ranker: sid.Ranker, history: list) -> None:
    found = scores(ranker, np.array(history, np.int32), CANDIDATES[:1])
    np.testing.assert_allclose(found, scores(ranker, HISTORY[:1], CANDIDATES[:1]), rtol=1e-4, atol=1e-5)


def test_of_two_items_the_later_counts_otherwise(ranker: sid.Ranker) -> None:
    turned = scores(ranker, np.array([[7, 3]], np.int32), CANDIDATES[:1])
    assert not np.allclose(turned, scores(ranker, np.array([[3, 7]], np.int32), CANDIDATES[:1]), atol=1e-3)


def test_an_empty_history_is_a_user_of_zeros(ranker: sid.Ranker) -> None:
    padded = scores(ranker, HISTORY[2:], CANDIDATES[2:])
    assert np.isfinite(padded).all()
    nothing = scores(ranker, np.zeros((1, 0), np.int32), CANDIDATES[2:])
    np.testing.assert_allclose(nothing, padded, rtol=1e-5)


def test_a_ranker_over_codes_is_one_over_their_catalogue(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(0, 8, (NUM_ITEMS, 2))
    embedding = sid.SemanticEmbedding(sid.NgramTokenizer(SPACE), DIM)
    over_codes = sid.Ranker(CONFIG, embedding)
    known = random_ranker()
    embedding.pieces.set_weights(known.item_embedding.embedding.get_weights())
    for to, of in zip(
        [over_codes.attention, *over_codes.crosses, over_codes.tower],
        [known.attention, *known.crosses, known.tower],
        strict=True,
    ):
        to.set_weights(of.get_weights())
    by_index = np.concatenate([np.full((1, 2), -1), codes]).astype(np.int32)
    expected = scores(known, HISTORY, CANDIDATES)
    np.testing.assert_allclose(
        scores(over_codes, by_index[HISTORY], by_index[CANDIDATES]), expected, rtol=1e-4, atol=1e-5
    )
    over_codes.save(tmp_path / "ranker.keras")
    again = tf_keras.models.load_model(tmp_path / "ranker.keras", compile=False)
    np.testing.assert_allclose(
        scores(again, by_index[HISTORY], by_index[CANDIDATES]), expected, rtol=1e-4, atol=1e-5
    )
    ragged = tf.ragged.constant([[[4, 7]], [[1, 2], [3, 0]]], ragged_rank=1, dtype=tf.int32)
    padded = np.array([[[4, 7], [-1, -1]], [[1, 2], [3, 0]]], np.int32)
    candidates = by_index[CANDIDATES[:2]]
    np.testing.assert_allclose(
        over_codes({"history": ragged, "candidates": tf.constant(candidates)}),
        scores(over_codes, padded, candidates),
        rtol=1e-5,
    )


def test_the_order_of_candidates_is_the_order_of_their_scores(ranker: sid.Ranker) -> None:
    order = np.array([3, 0, 4, 2, 1])
    found = scores(ranker, HISTORY, CANDIDATES[:, order])
    np.testing.assert_allclose(found, scores(ranker, HISTORY, CANDIDATES)[:, order], rtol=1e-5, atol=1e-6)


def test_a_score_does_not_depend_on_the_other_candidates_or_users(ranker: sid.Ranker) -> None:
    together = scores(ranker, HISTORY, CANDIDATES)
    for user, place in np.ndindex(CANDIDATES.shape):
        alone = scores(ranker, HISTORY[user : user + 1], CANDIDATES[user : user + 1, place : place + 1])
        assert alone.item() == pytest.approx(together[user, place], rel=1e-4, abs=1e-5)


def test_dropout_works_in_training_only(ranker: sid.Ranker) -> None:
    inputs = {"history": tf.constant(HISTORY), "candidates": tf.constant(CANDIDATES)}
    np.testing.assert_array_equal(ranker(inputs), ranker(inputs))
    assert not np.allclose(ranker(inputs, training=True), ranker(inputs))


def test_the_loss_is_the_weighted_cross_entropy(ranker: sid.Ranker) -> None:
    random = np.random.default_rng(0)
    labels, weights = random.integers(0, 2, (3, 5)), random.integers(0, 2, (3, 5))
    inputs = {"history": tf.constant(HISTORY), "candidates": tf.constant(CANDIDATES)}
    data = (inputs, tf.constant(labels, tf.float32), tf.constant(weights, tf.float32))
    logits = numpy_scores(ranker, HISTORY, CANDIDATES)
    entropy = np.logaddexp(0, logits) - labels * logits
    # The mean is over all candidates: one of weight 0 adds nothing, but is counted.
    assert float(ranker.compute_loss(data)) == pytest.approx((entropy * weights).sum() / 15, rel=1e-4)


def test_a_candidate_of_weight_zero_gives_no_gradient() -> None:
    ranker = random_ranker(dataclasses.replace(CONFIG, dropout=0.0))
    labels, weights = tf.ones((1, 2)), tf.constant([[1.0, 0.0]])

    def gradients(candidates: list[list[int]]) -> list[np.ndarray]:
        inputs = {"history": tf.constant(HISTORY[:1]), "candidates": tf.constant(candidates)}
        with tf.GradientTape() as tape:
            loss = ranker.compute_loss((inputs, labels, weights), training=True)
        found = tape.gradient(loss, ranker.trainable_variables)
        return [tf.convert_to_tensor(gradient).numpy() for gradient in found]

    for one, other in zip(gradients([[4, 9]]), gradients([[4, 0]]), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


# Whether it learns


@pytest.fixture(scope="module")
def world() -> tuple[sid.Items, sid.Splits]:
    """Users who like what resembles a few items of their own; some items appear after training."""
    items = sid.synthetic_items(500, dim=16, seed=0)
    interactions = sid.synthetic_interactions(items, num_users=400, events_per_user=25, seed=0)
    config = sid.DataConfig(items="-", interactions="-", num_windows=10, history_length=15)
    return items, sid.ranking_examples(items.item_ids, interactions, config)


SIXTEEN = sid.RQVAEConfig(num_levels=2, codebook_size=16, latent_dim=8, hidden_dim=8, epochs=1)
LEARNING = sid.RankerConfig(dim=16, hidden_dims=(32,), epochs=3, batch_size=256, learning_rate=5e-3)


def held_out(scores: np.ndarray, splits: sid.Splits) -> tuple[float, float]:
    """AUC over all and over cold items of the test period."""
    used = splits.test.weights > 0
    cold = used & (splits.item_counts[splits.test.candidates - 1] == 0)
    assert cold.sum() > 500
    return tuple(sid.auc(splits.test.labels[part], scores[part]) for part in (used, cold))


def learned(world: tuple[sid.Items, sid.Splits], codes: np.ndarray) -> tuple[float, float]:
    """Test AUCs of a ranker over the unigrams of these codes."""
    tokenizer = sid.NgramTokenizer(SIXTEEN.code_space)
    pieces = sid.PieceEmbedding(tokenizer.num_rows, LEARNING.dim)
    embedding = sid.CatalogueEmbedding.of(tokenizer.encode(codes), pieces)
    ranker = sid.fit_ranker("learn", embedding, world[1].train, LEARNING)
    return held_out(sid.score_examples(ranker, world[1].test), world[1])


def test_semantic_ids_rank_held_out_and_cold_items(world: tuple[sid.Items, sid.Splits]) -> None:
    embeddings = world[0].embeddings
    codes = sid.fit_rqvae(embeddings, config=SIXTEEN).encode(embeddings).numpy()
    over_all, cold = learned(world, codes)
    assert over_all > 0.75
    assert cold > 0.7
    # The same codes, dealt to the items at random, tell less: what is ranked is the content.
    shuffled = learned(world, np.random.default_rng(0).permutation(codes))
    assert shuffled[0] < over_all - 0.1
    assert shuffled[1] < cold - 0.1


def small_fit(world: tuple[sid.Items, sid.Splits], **changes: float) -> sid.Ranker:
    """One epoch over dense content."""
    items, splits = world
    config = dataclasses.replace(LEARNING, epochs=1, **changes)
    embedding = sid.CatalogueEmbedding.of(items.embeddings, sid.DenseContentEmbedding(config.dim, (8,)))
    return sid.fit_ranker("fit", embedding, splits.train.take(slice(1_000)), config)


def test_one_seed_one_ranker(world: tuple[sid.Items, sid.Splits]) -> None:
    first, second = (small_fit(world) for _ in range(2))
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    other = small_fit(world, seed=1).get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(first.get_weights(), other, strict=True))


def test_training_that_explodes_is_said(world: tuple[sid.Items, sid.Splits]) -> None:
    with pytest.raises(
        sid.TrainingError, match="the loss is not finite in epoch 1, step 2; lower learning_rate"
    ):
        small_fit(world, learning_rate=1e25)


def test_scores_come_in_the_order_of_the_examples(world: tuple[sid.Items, sid.Splits]) -> None:
    ranker, (_, splits) = small_fit(world), world
    found = sid.score_examples(ranker, splits.test)
    assert found.shape == splits.test.candidates.shape
    rows = np.array([0, 17, len(splits.test) - 1])
    expected = scores(ranker, splits.test.history[rows], splits.test.candidates[rows])
    np.testing.assert_allclose(found[rows], expected, rtol=1e-4, atol=1e-5)


def test_a_ranker_comes_back_from_disk(world: tuple[sid.Items, sid.Splits], tmp_path: Path) -> None:
    ranker, (_, splits) = small_fit(world), world
    ranker.save(tmp_path / "ranker.keras")
    again = tf_keras.models.load_model(tmp_path / "ranker.keras", compile=False)
    some = splits.test.take(slice(300))
    np.testing.assert_array_equal(sid.score_examples(again, some), sid.score_examples(ranker, some))
