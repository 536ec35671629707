"""Ranking examples in files: what stands in each `tf.Example`, and how `tf.data` reads it.

| feature | type | what |
|---|---|---|
| `user_id` | bytes [1] | |
| `timestamp` | int64 [1] | of the event, as the interactions have it |
| `item_id` | bytes [1] | the candidate |
| `codes` | int64 [num_levels] | of the candidate, coarsest first |
| `label` | float [1] | 1 = positive, 0 = negative; 1 where the interactions have no labels |
| `history_item_ids` | bytes [h] | the user's latest positive events strictly before, latest last |
| `history_codes` | int64 [h * num_levels] | their codes, event after event |

No negatives are drawn: a ranker learns from `label`, so the interactions must have some of either kind.

    ranker = sid.Ranker(config, sid.SemanticEmbedding(tokenizer, dim=64))
    ranker.compile("adam")
    ranker.fit(training_batches("examples-1", num_levels, 50, batch_size=4096, seed=0))
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

import semid_tf as sid

PADDING_CODE = -1


def example_features(num_levels: int) -> dict[str, Any]:
    """For `tf.io.parse_example`; histories are ragged."""
    levels = [tf.io.RaggedFeature.UniformRowLength(num_levels)]
    return {
        "user_id": tf.io.FixedLenFeature((), tf.string),
        "timestamp": tf.io.FixedLenFeature((), tf.int64),
        "item_id": tf.io.FixedLenFeature((), tf.string),
        "codes": tf.io.FixedLenFeature((num_levels,), tf.int64),
        "label": tf.io.FixedLenFeature((), tf.float32),
        "history_item_ids": tf.io.RaggedFeature(tf.string),
        "history_codes": tf.io.RaggedFeature(tf.int64, partitions=levels),
    }


def read_ranking_examples(
    folder: str | Path, num_levels: int, history_length: int, batch_size: int
) -> tf.data.Dataset:
    """Batches of the examples of an output, in the order of its parts.

    Args:
        folder: published output of `pipelines.ranking_examples`.
        num_levels: of the codes.
        history_length: events of a history; older ones are cut off, shorter histories are padded on the left.
        batch_size: of each batch but the last.

    Returns:
        Dicts with `user_id`, `item_id` string [n]; `timestamp` int64 [n]; `label` float32 [n]; `codes` int32
        [n, num_levels]; `history_item_ids` string [n, history_length], padded with the empty string;
        `history_codes` int32 [n, history_length, num_levels], padded with -1.
    """
    features = example_features(num_levels)

    def parse(records: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.io.parse_example(records, features)
        rows["codes"] = tf.cast(rows["codes"], tf.int32)
        rows["history_item_ids"] = _padded(rows["history_item_ids"], "", (history_length,))
        codes = _padded(rows["history_codes"], PADDING_CODE, (history_length, num_levels))
        rows["history_codes"] = tf.cast(codes, tf.int32)
        return rows

    files = tf.data.Dataset.list_files(f"{folder}/examples/*.tfrecord", shuffle=False)
    return files.interleave(tf.data.TFRecordDataset, cycle_length=1).batch(batch_size).map(parse)


def training_batches(
    folder: str | Path,
    num_levels: int,
    history_length: int,
    batch_size: int,
    seed: int,
    buffer_examples: int = 100_000,
) -> tf.data.Dataset:
    """Shuffled batches for a `semid_tf.Ranker` over codes, read several files at a time.

    Args:
        folder: published output of `pipelines.ranking_examples`.
        num_levels: of the codes.
        history_length: events of a history; older ones are cut off, shorter histories are padded on the left.
        batch_size: of each batch but the last.
        seed: fixes the order of every pass.
        buffer_examples: the shuffle buffer; shuffled also are the files.

    Yields:
        `({"history": int32 [n, history_length, num_levels], "candidates": int32 [n, 1, num_levels]}, labels,
        weights)`, histories padded with -1, the latter float32 [n, 1]; all weights are 1.

    Raises:
        DataError: there are no examples.
    """
    paths = sorted(tf.io.gfile.glob(f"{folder}/examples/*.tfrecord"))
    if not paths:
        raise sid.DataError(f"{folder}: has no examples; give an output of pipelines.ranking_examples.")
    files = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths), seed)
    records = files.interleave(
        tf.data.TFRecordDataset, cycle_length=min(len(paths), 8), num_parallel_calls=tf.data.AUTOTUNE
    )
    features = example_features(num_levels)
    read = {name: features[name] for name in ("codes", "label", "history_codes")}

    def parse(lines: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        rows = tf.io.parse_example(lines, read)
        history = _padded(rows["history_codes"], PADDING_CODE, (history_length, num_levels))
        codes, labels = rows["codes"][:, None], rows["label"][:, None]
        inputs = {"history": tf.cast(history, tf.int32), "candidates": tf.cast(codes, tf.int32)}
        return inputs, labels, tf.ones_like(labels)

    batches = records.shuffle(buffer_examples, seed).batch(batch_size)
    return batches.map(parse, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _padded(ragged: tf.RaggedTensor, padding: Any, shape: tuple[int, ...]) -> tf.Tensor:
    """Padded and cut on the left: reversed, that is on the right."""
    dense = ragged[:, ::-1].to_tensor(padding, shape=(None, *shape))
    return tf.reverse(dense, [1])
