"""Batches hold each example once, in an order that the seed fixes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from semid_tf.data import Examples, scoring_batches, training_batches

NUM, HISTORY, CANDIDATES = 107, 4, 3


@pytest.fixture(scope="module")
def examples() -> Examples:
    """Row r is recognised by its first candidate, r."""
    rows = np.arange(NUM, dtype=np.int32)
    return Examples(
        users=rows,
        history=rows[:, None] * 10 + np.arange(HISTORY, dtype=np.int32),
        candidates=rows[:, None] + np.arange(CANDIDATES, dtype=np.int32),
        labels=(rows[:, None] % 2 + np.zeros(CANDIDATES)).astype(np.float32),
        weights=np.repeat(rows[:, None], CANDIDATES, axis=1).astype(np.float32),
    )


def rows_of_pass(dataset: tf.data.Dataset) -> list[int]:
    return [int(row) for inputs, _, _ in dataset for row in inputs["candidates"][:, 0]]


def test_each_pass_holds_each_example_once_in_another_order(examples):
    dataset = training_batches(examples, 10, seed=3)
    first, second = rows_of_pass(dataset), rows_of_pass(dataset)
    assert sorted(first) == sorted(second) == list(range(NUM))
    assert first != second
    assert first != list(range(NUM))


def test_the_seed_fixes_all_passes(examples):
    one, same, other = (training_batches(examples, 10, seed) for seed in (3, 3, 4))
    for _ in range(2):
        expected = rows_of_pass(one)
        assert rows_of_pass(same) == expected
        assert rows_of_pass(other) != expected


def test_the_arrays_of_an_example_stay_together(examples):
    sizes = []
    for inputs, labels, weights in training_batches(examples, 10, seed=0):
        rows = inputs["candidates"][:, 0].numpy()
        np.testing.assert_array_equal(inputs["history"], examples.history[rows])
        np.testing.assert_array_equal(inputs["candidates"], examples.candidates[rows])
        np.testing.assert_array_equal(labels, examples.labels[rows])
        np.testing.assert_array_equal(weights, examples.weights[rows])
        sizes.append(len(rows))
    assert sizes == [10] * 10 + [7]


def test_number_of_batches_and_types_are_known(examples):
    dataset = training_batches(examples, 10, seed=0)
    assert int(dataset.cardinality()) == 11
    inputs, labels, weights = dataset.element_spec
    assert inputs["history"] == tf.TensorSpec([None, HISTORY], tf.int32)
    assert inputs["candidates"] == tf.TensorSpec([None, CANDIDATES], tf.int32)
    assert labels == weights == tf.TensorSpec([None, CANDIDATES], tf.float32)


def test_scoring_keeps_the_order(examples):
    batches = list(scoring_batches(examples, 50))
    assert [len(batch["history"]) for batch in batches] == [50, 50, 7]
    assert set(batches[0]) == {"history", "candidates"}
    for name in ("history", "candidates"):
        found = np.concatenate([batch[name] for batch in batches])
        np.testing.assert_array_equal(found, getattr(examples, name))


def test_a_context_goes_with_its_examples(examples):
    names = np.array([f"ß{row}" for row in range(NUM)], object)
    told = dataclasses.replace(examples, context={"age": np.arange(NUM, dtype=np.float32), "name": names})
    for inputs, _, _ in training_batches(told, 10, seed=0):
        rows = inputs["candidates"][:, 0].numpy()
        assert inputs["context"]["age"].numpy().tolist() == rows.tolist()
        assert [name.decode() for name in inputs["context"]["name"].numpy()] == [f"ß{row}" for row in rows]
    batches = list(scoring_batches(told, 50))
    assert np.concatenate([batch["context"]["age"] for batch in batches]).tolist() == list(range(NUM))


def test_no_example_gives_no_batch(examples):
    empty = examples.take(slice(0))
    assert list(training_batches(empty, 10, seed=0)) == []
    assert list(scoring_batches(empty, 10)) == []


def test_the_arrays_are_not_part_of_the_graph():
    num = 100_000
    big = Examples(
        np.zeros(num, np.int32),
        np.zeros((num, 50), np.int32),
        *(np.zeros((num, 5), kind) for kind in (np.int32, np.float32, np.float32)),
    )

    def count() -> tf.Tensor:
        return training_batches(big, 1000, seed=0).reduce(np.int64(0), lambda n, _: n + 1)

    assert int(count()) == 100
    dataset = training_batches(big, 1000, seed=0)._input_dataset
    functions = dataset._functions()
    assert functions
    for function in functions:
        assert function.function.graph.as_graph_def().ByteSize() < 100_000
