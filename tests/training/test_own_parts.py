"""Own parts on top of a trained ranker: what stays as it was, bit for bit, and what learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid

SPACE = sid.CodeSpace(2, 4)
CODES = np.stack(np.meshgrid(np.arange(4), np.arange(4), indexing="ij"), axis=-1).reshape(-1, 2)
COUNTS = np.where(np.arange(16) < 12, 5, 0)  # the last four were never seen
CONFIG = sid.RankerConfig(dim=8, hidden_dims=(8,), epochs=3, batch_size=64, learning_rate=3e-2)
IDS = np.arange(1, 17)[:, None]


@pytest.fixture(scope="module")
def examples() -> sid.Examples:
    """Item 1 is always preferred to item 2, which the parity of codes does not tell."""
    random, n = np.random.default_rng(0), 640
    history = random.integers(1, 13, (n, 3), np.int32)
    candidates = np.tile(np.int32([1, 2]), (n, 1))
    labels = np.tile(np.float32([1, 0]), (n, 1))
    return sid.Examples(np.arange(n, dtype=np.int32), history, candidates, labels, np.ones_like(labels))


@pytest.fixture(scope="module")
def base(examples: sid.Examples) -> sid.Ranker:
    """Trained over single codes; items 1 and 2 share theirs, so it cannot tell them apart."""
    codes = CODES.copy()
    codes[1] = codes[0]
    tokenizer = sid.NgramTokenizer(SPACE)
    embedding = sid.CatalogueEmbedding.of(tokenizer.encode(codes), sid.PieceEmbedding(tokenizer.num_rows, 8))
    return sid.fit_ranker("base", embedding, examples, CONFIG)


def scores(ranker: sid.Ranker, candidates: list[int]) -> np.ndarray:
    """Of a user who met seen items only."""
    return ranker({"history": tf.constant([[3, 1, 2]]), "candidates": tf.constant([candidates])}).numpy()[0]


def grown(base: sid.Ranker) -> sid.Ranker:
    """Own rows by id."""
    return sid.with_own_parts(base, IDS, 17, COUNTS, half_seen=1.0)


def test_before_training_nothing_changes(base: sid.Ranker) -> None:
    everything = list(range(17))
    np.testing.assert_allclose(scores(grown(base), everything), scores(base, everything), atol=1e-6)


def test_own_parts_learn_what_is_shared_cannot_tell(base: sid.Ranker, examples: sid.Examples) -> None:
    before = [(weight, weight.numpy()) for weight in base.weights]
    one, two = scores(base, [1, 2])
    assert one == two
    ranker = sid.fit_own_parts("own", grown(base), examples, epochs=4)
    one, two = scores(ranker, [1, 2])
    assert one > two + 0.3
    # Items never seen, and all that was trained before, are as they were.
    unseen = [13, 14, 15, 16, 0]
    np.testing.assert_array_equal(scores(ranker, unseen), scores(base, unseen))
    for weight, was in before:
        np.testing.assert_array_equal(weight, was)
    assert ranker.item_embedding.embedding.own.table.numpy()[[1, 2]].any()
    assert not ranker.item_embedding.embedding.own.table.numpy()[13:].any()


def test_only_the_own_table_is_left_to_train_until_it_is_trained(
    base: sid.Ranker, examples: sid.Examples
) -> None:
    ranker = grown(base)
    assert [weight.shape for weight in ranker.trainable_weights] == [(17, 8)]
    sid.fit_own_parts("own", ranker, examples)
    assert len(ranker.trainable_weights) == len(base.trainable_weights) + 1


def test_a_keras_file_keeps_both_parts(base: sid.Ranker, tmp_path: Path) -> None:
    ranker = grown(base)
    start = np.random.default_rng(0).normal(size=(17, 8))
    ranker.item_embedding.embedding.own.table.assign(start)
    ranker.save(tmp_path / "it.keras")
    again = tf_keras.models.load_model(tmp_path / "it.keras", compile=False)
    everything = list(range(17))
    np.testing.assert_allclose(scores(again, everything), scores(ranker, everything), atol=1e-6)
