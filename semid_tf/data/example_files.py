"""Ranking examples as shards of `tf.Example`, for training sets larger than memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from semid_tf.data.batches import CANDIDATES, CONTEXT, HISTORY
from semid_tf.data.examples import Examples
from semid_tf.data.parquet import matching_files
from semid_tf.errors import DataError

LABELS, WEIGHTS = "labels", "weights"
_SUFFIX = "tfrecord"


def write_examples(examples: Examples, folder: str | Path, num_shards: int = 1) -> list[Path]:
    """Writes TFRecord shards `examples-00000-of-0000N.tfrecord`, row after row in turn; padding is left out.

    Each `tf.Example` is a user at one moment: `history` and `candidates` int64 lists of any length, `labels`
    and `weights` float lists as long as the candidates (labels of several tasks candidate after candidate),
    and `context/NAME`, a float or bytes, for each part of a context.

    Raises:
        DataError: num_shards is below 1.
    """
    if num_shards < 1:
        raise DataError(f"num_shards must be at least 1, got {num_shards}.")
    names = [f"examples-{shard:05d}-of-{num_shards:05d}.{_SUFFIX}" for shard in range(num_shards)]
    for shard, name in enumerate(names):
        with tf.io.TFRecordWriter(str(Path(folder) / name)) as writer:
            for row in range(shard, len(examples), num_shards):
                writer.write(_serialized(examples, row))
    return [Path(folder) / name for name in names]


def _serialized(examples: Examples, row: int) -> bytes:
    history, used = examples.history[row], examples.candidates[row] > 0
    integers = {HISTORY: history[history > 0], CANDIDATES: examples.candidates[row][used]}
    floats = {LABELS: examples.labels[row][used].ravel(), WEIGHTS: examples.weights[row][used]}
    features = {name: _feature(int64_list=tf.train.Int64List(value=v)) for name, v in integers.items()}
    features |= {name: _feature(float_list=tf.train.FloatList(value=v)) for name, v in floats.items()}
    features |= {f"{CONTEXT}/{name}": _of_context(values[row]) for name, values in examples.context.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _of_context(value: Any) -> tf.train.Feature:
    if isinstance(value, str):
        return _feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
    return _feature(float_list=tf.train.FloatList(value=[value]))


def _feature(**values: object) -> tf.train.Feature:
    return tf.train.Feature(**values)


def example_batches(
    pattern: str | Path,
    batch_size: int,
    history_length: int,
    seed: int,
    buffer_examples: int = 100_000,
    context: Mapping[str, tf.DType] | None = None,
    num_tasks: int = 1,
) -> tf.data.Dataset:
    """Shuffled training batches from shards, read several files at a time and parsed a batch at once.

    Args:
        pattern: a file, a glob pattern or a folder.
        batch_size: examples in a batch.
        history_length: longer histories keep their latest items.
        seed: fixes the order of every pass.
        buffer_examples: the shuffle buffer; shuffled also are the files.
        context: names of a context to read, and their types, `tf.float32` or `tf.string`; what an example
            does not have is NaN or the empty string.
        num_tasks: labels that a candidate has.

    Yields:
        As `training_batches`; widths are those of the longest in the batch, histories at most
        `history_length`, padded on the left.

    Raises:
        DataError: there is no such file.
    """
    paths = [str(path) for path in matching_files(str(pattern), "TFRecord", f"*.{_SUFFIX}*")]
    files = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths), seed)
    records = files.interleave(
        tf.data.TFRecordDataset, cycle_length=min(len(paths), 8), num_parallel_calls=tf.data.AUTOTUNE
    )
    batches = records.shuffle(buffer_examples, seed).batch(batch_size)
    features = _features(context or {}, num_tasks)
    return batches.map(lambda lines: _parsed(lines, features, history_length), tf.data.AUTOTUNE).prefetch(
        tf.data.AUTOTUNE
    )


def _features(context: Mapping[str, tf.DType], num_tasks: int) -> dict[str, Any]:
    kinds = {HISTORY: tf.int64, CANDIDATES: tf.int64, LABELS: tf.float32, WEIGHTS: tf.float32}
    features = {name: tf.io.RaggedFeature(kind) for name, kind in kinds.items()}
    if num_tasks > 1:
        rows = tf.io.RaggedFeature.UniformRowLength(num_tasks)
        features[LABELS] = tf.io.RaggedFeature(tf.float32, partitions=[rows])
    missing = {tf.float32: np.nan, tf.string: ""}
    return features | {
        f"{CONTEXT}/{name}": tf.io.FixedLenFeature((), kind, missing[kind]) for name, kind in context.items()
    }


def _parsed(
    lines: tf.Tensor, features: dict[str, Any], history_length: int
) -> tuple[dict[str, Any], tf.Tensor, tf.Tensor]:
    parsed = tf.io.parse_example(lines, features)
    latest = parsed[HISTORY][:, -history_length:]
    # Each reversed, padded behind, and turned round: latest last, padding on the left.
    backwards = tf.reverse_sequence(latest.to_tensor(), latest.row_lengths(), seq_axis=1)
    history = tf.reverse(backwards, axis=[1])
    inputs: dict[str, Any] = {HISTORY: tf.cast(history, tf.int32)}
    inputs[CANDIDATES] = tf.cast(parsed[CANDIDATES].to_tensor(), tf.int32)
    prefix = f"{CONTEXT}/"
    if context := {n.removeprefix(prefix): parsed[n] for n in features if n.startswith(prefix)}:
        inputs[CONTEXT] = context
    return inputs, parsed[LABELS].to_tensor(), parsed[WEIGHTS].to_tensor()
