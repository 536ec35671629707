"""Shards of tf.Example give back the examples that were written."""

from __future__ import annotations

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


def test_records_without_candidates_are_refused(tmp_path: Path) -> None:
    sid.write_examples(EXAMPLES.take(np.arange(4)), tmp_path)
    features = {"codes": tf.train.Feature(int64_list=tf.train.Int64List(value=[1, 2]))}
    other = tf.train.Example(features=tf.train.Features(feature=features))
    with tf.io.TFRecordWriter(str(tmp_path / "other.tfrecord")) as writer:
        writer.write(other.SerializeToString())
    with pytest.raises(tf.errors.InvalidArgumentError, match="no candidates; give shards of write_examples"):
        rows_of(tmp_path, 5)


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(sid.DataError, match="num_shards must be at least 1, got 0"):
        sid.write_examples(EXAMPLES, tmp_path, 0)
    with pytest.raises(sid.DataError):
        sid.example_batches(tmp_path / "none", 2, 3, 0)
