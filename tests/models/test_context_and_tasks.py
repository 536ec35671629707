"""Context and several tasks: by hand and by NumPy, and that they reach the scores and the loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid

CONFIG = sid.RankerConfig(dim=4, hidden_dims=(5,), dropout=0.0)
INPUTS = {"history": tf.constant([[1, 2], [0, 3]]), "candidates": tf.constant([[4, 5, 1], [2, 3, 0]])}
CONTEXT = {"age": tf.constant([30.0, np.nan]), "device": tf.constant(["phone", ""])}
TASKS = (sid.Task("click"), sid.Task("rating", weight=0.5, kind="number"))


def ranker(**parts: object) -> sid.Ranker:
    """With weights that differ from their start."""
    embedding = sid.CatalogueEmbedding.of(np.arange(1, 7)[:, None], sid.PieceEmbedding(7, 4))
    made = sid.Ranker(CONFIG, embedding, **parts)
    random = np.random.default_rng(0)
    for weight in made.trainable_weights:
        weight.assign(random.normal(scale=0.5, size=weight.shape))
    return made


def context() -> sid.ContextFeatures:
    """One number, one string."""
    return sid.ContextFeatures(["age"], {"device": 11}, dim=3)


def test_a_context_by_hand() -> None:
    layer = context()
    vectors = layer(CONTEXT).numpy()
    row = tf_keras.layers.Hashing(11, mask_value="")(["phone"]).numpy()[0]
    expected = np.log1p(30.0) * layer.kernel.numpy()[0] + layer.tables["device"].pieces.table.numpy()[row]
    np.testing.assert_allclose(vectors[0], expected, rtol=1e-5)
    assert not vectors[1].any(), "what is missing adds nothing"


def test_infinite_numbers_are_missing_ones() -> None:
    layer = sid.ContextFeatures(["age", "price"], {"device": 11}, dim=3)
    device = tf.constant(["phone", "phone"])
    found = layer(
        {"age": tf.constant([30.0, 30.0]), "price": tf.constant([np.inf, -np.inf]), "device": device}
    )
    without = layer({"age": tf.constant([30.0] * 2), "price": tf.constant([0.0] * 2), "device": device})
    np.testing.assert_array_equal(found, without)


def test_penalty_and_dropout_reach_the_tables_of_strings() -> None:
    layer = sid.ContextFeatures([], {"device": 11, "place": 5}, dim=3, l2=0.5)
    told = {"device": tf.constant(["phone"]), "place": tf.constant(["here"])}
    squares = [np.square(layer.tables[name](told[name])).sum() for name in told]
    layer(told, training=True)
    assert float(sum(layer.losses)) == pytest.approx(0.5 * sum(squares), rel=1e-5)
    model = ranker(context=sid.ContextFeatures([], {"device": 11}, dim=3, dropout=1.0))
    inputs = INPUTS | {"context": {"device": tf.constant(["phone", "tablet"])}}
    np.testing.assert_allclose(
        model.task_outputs(inputs, training=True), model.task_outputs(INPUTS), atol=1e-6
    )
    assert (np.abs(model(inputs) - model(INPUTS)) > 1e-3).all()


def test_tables_of_strings_have_one_accumulator_a_row() -> None:
    layer, optimizer = context(), sid.RowwiseAdagrad()
    layer.build()
    optimizer.build(layer.trainable_weights)
    sizes = sorted(int(np.prod(variable.shape)) for variable in optimizer.variables)
    assert sizes == [1, 3, 3, 11]  # steps, two moments of the kernel, rows


def test_a_context_reaches_the_scores_of_its_own_request() -> None:
    model = ranker(context=context())
    with_context, without = model(INPUTS | {"context": CONTEXT}).numpy(), model(INPUTS).numpy()
    assert (np.abs(with_context[0] - without[0]) > 1e-3).all()
    np.testing.assert_allclose(with_context[1], without[1], atol=1e-6)


def numpy_loss(outputs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """Weighted cross-entropy of the first task and half the weighted squared error of the second."""
    chance = 1 / (1 + np.exp(-outputs[..., 0]))
    entropy = -(labels[..., 0] * np.log(chance) + (1 - labels[..., 0]) * np.log(1 - chance))
    rated = np.isfinite(labels[..., 1])
    error = np.square(outputs[..., 1] - np.where(rated, labels[..., 1], 0))
    return (entropy * weights).mean() + 0.5 * (error * weights * rated).mean()


def test_the_loss_of_two_tasks_by_numpy() -> None:
    model = ranker(tasks=TASKS)
    labels = np.float32([[[1, 4.5], [0, 2.0], [1, np.nan]], [[0, 1.0], [0, 3.0], [1, 5.0]]])
    weights = np.float32([[1, 2, 1], [0.5, 1, 0]])
    outputs = model.task_outputs(INPUTS).numpy()
    assert outputs.shape == (2, 3, 2)
    found = model.compute_loss((INPUTS, labels, weights))
    assert float(found) == pytest.approx(numpy_loss(outputs, labels, weights), rel=1e-5)
    np.testing.assert_array_equal(model(INPUTS), outputs[..., 0])


def test_both_tasks_are_learned() -> None:
    model = ranker(tasks=TASKS)
    model.compile(tf_keras.optimizers.Adam(3e-2))
    labels = np.float32([[[1, 5], [0, 1], [0, 2]], [[0, 1], [1, 5], [0, 0]]])
    weights = np.float32([[1, 1, 1], [1, 1, 0]])
    batches = tf.data.Dataset.from_tensors((INPUTS, labels, weights)).repeat(200)
    model.fit(batches, verbose=0)
    outputs = model.task_outputs(INPUTS).numpy()
    used = weights > 0
    assert ((outputs[..., 0] > 0) == (labels[..., 0] > 0.5))[used].all()
    assert np.abs(outputs[..., 1] - labels[..., 1])[used].max() < 1


def test_a_keras_file_keeps_context_and_tasks(tmp_path: Path) -> None:
    model = ranker(context=context(), tasks=TASKS)
    model.save(tmp_path / "it.keras")
    again = tf_keras.models.load_model(tmp_path / "it.keras", compile=False)
    assert again.tasks == TASKS
    inputs = INPUTS | {"context": CONTEXT}
    np.testing.assert_allclose(again.task_outputs(inputs), model.task_outputs(inputs), atol=1e-6)


def test_bad_tasks_are_told() -> None:
    with pytest.raises(sid.ConfigError, match="task 'buy' must be binary or number, got 'rank'"):
        sid.Task("buy", kind="rank")
    with pytest.raises(sid.ConfigError, match="must have a weight of at least 0, got -1"):
        sid.Task("buy", weight=-1)
