"""Row-wise Adagrad against NumPy; what is no table against Adam."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid

START = np.arange(12, dtype=np.float32).reshape(4, 3)


def gradients(sparse: bool) -> list[tf.Tensor | tf.IndexedSlices]:
    """Of three steps; row 1 is met twice in the first, row 3 never."""
    values = np.random.default_rng(0).normal(size=(3, 2, 3)).astype(np.float32)
    rows = [[1, 1], [0, 2], [2, 1]]
    slices = [tf.IndexedSlices(v, tf.constant(r), (4, 3)) for v, r in zip(values, rows, strict=True)]
    return slices if sparse else [tf.convert_to_tensor(part) for part in slices]


@pytest.mark.parametrize("sparse", [True, False])
def test_tables_step_as_by_numpy(sparse: bool) -> None:
    table = tf.Variable(START, name="somewhere/table")
    optimizer = sid.RowwiseAdagrad(table_learning_rate=0.5, initial_accumulator=0.25)
    expected, sums = START.copy(), np.full(4, 0.25)
    for gradient in gradients(sparse):
        optimizer.apply_gradients([(gradient, table)])
        dense = tf.convert_to_tensor(gradient).numpy()
        sums += np.square(dense).mean(axis=1)
        expected -= 0.5 * dense / np.sqrt(sums)[:, None]
    np.testing.assert_allclose(table, expected, rtol=1e-5)
    np.testing.assert_array_equal(table[3], START[3])


def test_all_else_steps_as_adam_does_and_a_table_has_one_number_a_row() -> None:
    def step(optimizer: tf_keras.optimizers.Optimizer) -> np.ndarray:
        kernel, table = tf.Variable(START, name="kernel"), tf.Variable(START, name="table")
        for gradient in gradients(True):
            optimizer.apply_gradients([(tf.convert_to_tensor(gradient), kernel), (gradient, table)])
        return kernel.numpy()

    optimizer = sid.RowwiseAdagrad(0.1)
    np.testing.assert_allclose(step(optimizer), step(tf_keras.optimizers.Adam(0.1)), rtol=1e-6)
    sizes = sorted(int(np.prod(variable.shape)) for variable in optimizer.variables)
    assert sizes == [1, 4, 12, 12]  # steps, rows, and two moments of the kernel


def test_its_config_makes_it_again() -> None:
    config = sid.RowwiseAdagrad(0.1, table_learning_rate=0.3).get_config()
    assert sid.RowwiseAdagrad.from_config(config).get_config() == config


def test_a_ranker_learns_with_it() -> None:
    table = sid.PieceEmbedding(6, 4)
    ranker = sid.Ranker(
        sid.RankerConfig(dim=4, hidden_dims=(4,)), sid.CatalogueEmbedding.of(np.arange(1, 6)[:, None], table)
    )
    ranker.compile(sid.RowwiseAdagrad(1e-2, table_learning_rate=0.1))
    inputs = {"history": np.full((64, 1), 1), "candidates": np.tile([[2, 3]], (64, 1))}
    labels = np.tile(np.float32([[1, 0]]), (64, 1))
    batches = tf.data.Dataset.from_tensors((inputs, labels, np.ones_like(labels)))
    losses = ranker.fit(batches.repeat(30), epochs=2, verbose=0, steps_per_epoch=15).history["loss"]
    assert losses[-1] < 0.7 * np.log(2)


def test_a_checkpoint_holds_the_accumulators(tmp_path: Path) -> None:
    first, second, third = gradients(True)

    def steps(optimizer: sid.RowwiseAdagrad, table: tf.Variable, *taken: tf.IndexedSlices) -> tf.Variable:
        for gradient in taken:
            optimizer.apply_gradients([(gradient, table)])
        return table

    unbroken = steps(sid.RowwiseAdagrad(), tf.Variable(START, name="table"), first, second, third)
    optimizer, table = sid.RowwiseAdagrad(), tf.Variable(START, name="table")
    steps(optimizer, table, first, second)
    path = tf.train.Checkpoint(optimizer=optimizer, table=table).write(str(tmp_path / "after_two"))
    optimizer, table = sid.RowwiseAdagrad(), tf.Variable(START, name="table")
    optimizer.build([table])
    tf.train.Checkpoint(optimizer=optimizer, table=table).read(path).assert_consumed()
    np.testing.assert_array_equal(steps(optimizer, table, third), unbroken)
