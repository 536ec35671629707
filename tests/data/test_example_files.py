"""Shards of tf.Example give back the examples that were written."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid

EXAMPLES = sid.Examples(
    np.arange(5, dtype=np.int32),
    np.array([[0, 0, 7], [0, 0, 0], [4, 5, 6], [0, 1, 2], [0, 0, 9]], np.int32),
    np.array([[1, 2], [2, 0], [3, 4], [4, 5], [5, 6]], np.int32),
    np.array([[1, 0], [1, 0], [0, 1], [1, 0], [0, 0]], np.float32),
    np.array([[1, 0.5], [1, 0], [1, 1], [2, 1], [1, 1]], np.float32),
)


def rows_of(folder: Path, batch_size: int, history_length: int = 3, seed: int = 0) -> list[tuple]:
    """Everything but padding, example by example."""
    rows = []
    for inputs, labels, weights in sid.example_batches(folder, batch_size, history_length, seed):
        assert (inputs["history"].dtype, inputs["candidates"].dtype) == (np.int32, np.int32)
        for history, items, label, weight in zip(
            *map(np.array, (*inputs.values(), labels, weights)), strict=True
        ):
            assert (np.diff((history > 0).astype(int)) >= 0).all(), "padding must stand on the left"
            used = items > 0
            rows.append(
                tuple(
                    tuple(part.tolist())
                    for part in (history[history > 0], items[used], label[used], weight[used])
                )
            )
    return rows


def expected(history_length: int = 3) -> list[tuple]:
    rows = []
    for history, items, label, weight in zip(
        EXAMPLES.history, EXAMPLES.candidates, EXAMPLES.labels, EXAMPLES.weights, strict=True
    ):
        used, latest = items > 0, history[history > 0][-history_length:]
        rows.append(tuple(tuple(part.tolist()) for part in (latest, items[used], label[used], weight[used])))
    return sorted(rows)


@pytest.mark.parametrize("num_shards", [1, 2, 7])
def test_shards_hold_each_example_once(tmp_path: Path, num_shards: int) -> None:
    files = sid.write_examples(EXAMPLES, tmp_path, num_shards)
    assert len(files) == len(list(tmp_path.iterdir())) == num_shards
    assert sorted(rows_of(tmp_path, 2)) == expected()


def test_long_histories_keep_their_latest(tmp_path: Path) -> None:
    sid.write_examples(EXAMPLES, tmp_path)
    assert sorted(rows_of(tmp_path, 5, history_length=2)) == expected(2)


def test_the_seed_fixes_the_order(tmp_path: Path) -> None:
    sid.write_examples(EXAMPLES, tmp_path, 2)
    assert rows_of(tmp_path, 1, seed=3) == rows_of(tmp_path, 1, seed=3)
    assert len({tuple(rows_of(tmp_path, 1, seed=seed)) for seed in range(6)}) > 1


def test_a_ranker_learns_from_shards(tmp_path: Path) -> None:
    sid.write_examples(EXAMPLES, tmp_path, 2)
    embedding = sid.CatalogueEmbedding.of(np.arange(1, 10)[:, None], sid.PieceEmbedding(10, 4))
    ranker = sid.Ranker(sid.RankerConfig(dim=4, hidden_dims=(4,)), embedding)
    ranker.compile(tf_keras.optimizers.Adam(3e-2))
    losses = ranker.fit(sid.example_batches(tmp_path, 3, 3, seed=0), epochs=30, verbose=0).history["loss"]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


KINDS = ("binary", "number")
GOOD = {"history": [7], "candidates": [1, 2], "labels": [1.0, 0.0], "weights": [1.0, 0.5]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [1.0, 2.0]}, "labels must be 0 or 1, got.*2"),
        ({"labels": [np.nan, 0.0]}, "labels must be 0 or 1, got.*nan"),
        ({"weights": [1.0, -0.5]}, "weights must be finite and at least 0, got.*-0.5"),
        ({"weights": [1.0, np.inf]}, "weights must be finite and at least 0, got.*inf"),
        ({"labels": [1.0]}, "labels of an example must be as many as its candidates, got.*1"),
        ({"weights": [1.0] * 3}, "weights of an example must be as many as its candidates, got.*3"),
        ({"candidates": [-1, 2]}, "candidates must be an item_index, at least 0, of int32, got.*-1"),
        ({"history": [2**32 + 1]}, "history must be an item_index, at least 0, of int32, got.*4294967297"),
        (
            {"candidates": [], "labels": [], "weights": []},
            "candidates of an example must be at least 1, got.*0",
        ),
    ],
    ids=str,
)
def test_a_record_that_is_no_example_stops_the_reading(tmp_path: Path, change: dict, message: str) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for columns in (GOOD, GOOD | change, GOOD):
            writer.write(record(columns))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(sid.example_batches(tmp_path, 3, 3, 0))


def test_ratings_are_labels_of_another_kind(tmp_path: Path) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(record(GOOD | {"labels": [4.5, 2.0]}))
    ((_, labels, _),) = sid.example_batches(tmp_path, 3, 3, 0, kinds=["number"])
    assert labels.numpy().tolist() == [[4.5, 2.0]]


def record(columns: dict[str, list]) -> bytes:
    """Floats and integers as tf.Example."""
    features = {}
    for name, values in columns.items():
        if name in ("labels", "weights"):
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
        else:
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def test_context_and_labels_of_tasks_come_back(tmp_path: Path) -> None:
    rated = np.stack([EXAMPLES.labels, np.float32([[4, 2], [5, 0], [1, np.nan], [3, 3], [2, 1]])], axis=-1)
    context = {
        "age": np.float32([20, 30, np.nan, 50, 60]),
        "device": np.array(["phone", "", "ß🧀", "a", "b"]),
    }
    sid.write_examples(dataclasses.replace(EXAMPLES, labels=rated, context=context), tmp_path, 2)
    kinds = {"age": tf.float32, "device": tf.string, "never written": tf.float32}
    ((inputs, labels, _),) = sid.example_batches(tmp_path, 5, 3, seed=0, kinds=KINDS, context=kinds)
    rows = inputs["candidates"].numpy()[:, 0] - 1
    np.testing.assert_array_equal(inputs["context"]["age"], context["age"][rows])
    assert [text.decode() for text in inputs["context"]["device"].numpy()] == context["device"][rows].tolist()
    assert np.isnan(inputs["context"]["never written"]).all()
    used = inputs["candidates"].numpy() > 0
    np.testing.assert_array_equal(labels.numpy()[used], rated[rows][used])


def test_a_ranker_learns_context_and_tasks_from_shards(tmp_path: Path) -> None:
    """What is liked hangs on the device alone, and the rating on what is liked."""
    random, n = np.random.default_rng(0), 400
    device = random.integers(0, 2, n)
    candidates = np.tile(np.int32([1, 2]), (n, 1))
    liked = (candidates - 1 == device[:, None]).astype(np.float32)
    examples = sid.Examples(
        np.arange(n, dtype=np.int32),
        np.zeros((n, 1), np.int32),
        candidates,
        np.stack([liked, 1 + 4 * liked], axis=-1),
        np.ones((n, 2), np.float32),
        context={"device": np.array(["phone", "desk"])[device]},
    )
    sid.write_examples(examples, tmp_path)
    embedding = sid.CatalogueEmbedding.of(np.arange(1, 3)[:, None], sid.PieceEmbedding(3, 4))
    tasks = (sid.Task("click"), sid.Task("rating", kind="number"))
    context = sid.ContextFeatures([], {"device": 11}, dim=4)
    ranker = sid.Ranker(sid.RankerConfig(dim=4, hidden_dims=(16,)), embedding, context=context, tasks=tasks)
    ranker.compile(tf_keras.optimizers.Adam(3e-2))
    batches = sid.example_batches(tmp_path, 50, 3, seed=0, kinds=KINDS, context={"device": tf.string})
    ranker.fit(batches, epochs=20, verbose=0)
    assert ((sid.score_examples(ranker, examples) > 0) == (liked > 0)).all()


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(sid.DataError, match="num_shards must be at least 1, got 0"):
        sid.write_examples(EXAMPLES, tmp_path, 0)
    with pytest.raises(sid.DataError):
        sid.example_batches(tmp_path / "none", 2, 3, 0)
    with pytest.raises(sid.DataError, match="history_length must be at least 1, got 0"):
        sid.example_batches(tmp_path, 2, 0, 0)
