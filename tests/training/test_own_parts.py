"""Own parts on top of a trained ranker: what stays as it was, bit for bit, and what learns."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid

SPACE = sid.CodeSpace(2, 4)
CODES = np.stack(np.meshgrid(np.arange(4), np.arange(4), indexing="ij"), axis=-1).reshape(-1, 2)
COUNTS = np.where(np.arange(16) < 12, 5, 0)  # the last four were never seen
CONFIG = sid.RankerConfig(dim=8, hidden_dims=(8,), dropout=0.0, epochs=3, batch_size=64, learning_rate=3e-2)
IDS = np.arange(1, 17)[:, None]
UNSEEN = [13, 14, 15, 16, 0]
NUMBER = sid.Task("rating", kind="number")


@pytest.fixture(scope="module")
def examples() -> sid.Examples:
    """Item 1 is always preferred to item 2, which the parity of codes does not tell."""
    random, n = np.random.default_rng(0), 640
    history = random.integers(1, 13, (n, 3), np.int32)
    candidates = np.tile(np.int32([1, 2]), (n, 1))
    labels = np.tile(np.float32([1, 0]), (n, 1))
    return sid.Examples(np.arange(n, dtype=np.int32), history, candidates, labels, np.ones_like(labels))


def trained(examples: sid.Examples, **parts: object) -> sid.Ranker:
    """Trained over single codes; items 1 and 2 share theirs, so it cannot tell them apart."""
    codes = CODES.copy()
    codes[1] = codes[0]
    tokenizer = sid.NgramTokenizer(SPACE)
    embedding = sid.CatalogueEmbedding.of(tokenizer.encode(codes), sid.PieceEmbedding(tokenizer.num_rows, 8))
    return sid.fit_ranker("base", embedding, examples, CONFIG, **parts)


@pytest.fixture(scope="module")
def base(examples: sid.Examples) -> sid.Ranker:
    """Without context and further tasks."""
    return trained(examples)


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
    np.testing.assert_array_equal(scores(ranker, UNSEEN), scores(base, UNSEEN))
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


@pytest.mark.parametrize("tasks", [(sid.Task("click"), NUMBER), (NUMBER,)], ids=["two", "one number"])
def test_context_and_tasks_are_those_of_the_base(examples: sid.Examples, tasks: tuple) -> None:
    age = np.random.default_rng(1).normal(size=len(examples)).astype(np.float32)
    rated = np.stack([examples.labels, 5 * examples.labels], axis=-1)[..., -len(tasks) :]
    labels = rated if len(tasks) > 1 else rated[..., 0]
    told = dataclasses.replace(examples, labels=labels, context={"age": age})
    base = trained(told, context=sid.ContextFeatures(["age"], {}, dim=3), tasks=tasks)
    ranker = grown(base)
    assert ranker.tasks == tasks
    before = sid.score_examples(base, told)
    np.testing.assert_allclose(sid.score_examples(ranker, told), before, atol=1e-5)
    weights = [(weight, weight.numpy()) for weight in base.weights]
    sid.fit_own_parts("own", ranker, told, epochs=4)
    after = sid.score_examples(ranker, told)
    assert (after[:, 0] - after[:, 1]).mean() > (before[:, 0] - before[:, 1]).mean() + 0.3
    for weight, was in weights:
        np.testing.assert_array_equal(weight, was)
    assert len(ranker.trainable_weights) == len(base.trainable_weights) + 1


def test_shared_parts_are_trained_on_as_if_there_were_no_own_ones(examples: sid.Examples) -> None:
    alone, ranker = trained(examples), grown(trained(examples))
    sid.fit_own_parts("own", ranker, examples)
    own, before = ranker.item_embedding.embedding.own.table.numpy(), scores(alone, UNSEEN)
    sid.train_ranker("on", alone, examples, CONFIG)
    sid.train_with_own_parts("on", ranker, examples, CONFIG)
    np.testing.assert_allclose(scores(ranker, UNSEEN), scores(alone, UNSEEN), rtol=1e-4, atol=1e-5)
    assert np.abs(scores(alone, UNSEEN) - before).max() > 1e-3
    moved = (ranker.item_embedding.embedding.own.table.numpy() != own).any(axis=1)
    assert moved[1:13].all() and not moved[13:].any()
    assert ranker.item_embedding.embedding.own_dropout == 0
    assert len(ranker.trainable_weights) == len(alone.trainable_weights) + 1


def test_a_keras_file_keeps_both_parts(base: sid.Ranker, tmp_path: Path) -> None:
    ranker = grown(base)
    start = np.random.default_rng(0).normal(size=(17, 8))
    ranker.item_embedding.embedding.own.table.assign(start)
    ranker.save(tmp_path / "it.keras")
    again = tf_keras.models.load_model(tmp_path / "it.keras", compile=False)
    everything = list(range(17))
    np.testing.assert_allclose(scores(again, everything), scores(ranker, everything), atol=1e-6)
