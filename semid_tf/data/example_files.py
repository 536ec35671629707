"""Ranking examples as shards of `tf.Example`, for training sets larger than memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
_BINARY = "binary"
_NO_CANDIDATES = "a record has no candidates; give shards of write_examples."


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
    kinds: Sequence[str] = (_BINARY,),
    context: Mapping[str, tf.DType] | None = None,
) -> tf.data.Dataset:
    """Shuffled training batches from shards, read several files at a time and parsed a batch at once.

    Args:
        pattern: a file, a glob pattern or a folder.
        batch_size: examples in a batch.
        history_length: longer histories keep their latest items.
        seed: fixes the order of every pass.
        buffer_examples: the shuffle buffer; shuffled also are the files.
        kinds: of the labels that a candidate has, one a task, see `Task`.
        context: names of a context to read, and their types, `tf.float32` or `tf.string`; what an example
            does not have is NaN or the empty string.

    Yields:
        As `training_batches`; widths are those of the longest in the batch, histories at most
        `history_length`, padded on the left.

    Raises:
        DataError: there is no such file, or history_length is below 1.
        tf.errors.InvalidArgumentError: while it is read: an example has no candidates, or not as many labels
            and weights; a label is not of its kind, a weight is negative or not finite, an item_index is
            negative or beyond int32.
    """
    if history_length < 1:
        raise DataError(f"history_length must be at least 1, got {history_length}.")
    paths = [str(path) for path in matching_files(str(pattern), "TFRecord", f"*.{_SUFFIX}*")]
    files = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths), seed)
    records = files.interleave(
        tf.data.TFRecordDataset, cycle_length=min(len(paths), 8), num_parallel_calls=tf.data.AUTOTUNE
    )
    batches = records.shuffle(buffer_examples, seed).batch(batch_size)
    features = _features(context or {}, len(kinds))
    return batches.map(
        lambda lines: _parsed(lines, features, history_length, kinds), tf.data.AUTOTUNE
    ).prefetch(tf.data.AUTOTUNE)


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
    lines: tf.Tensor, features: dict[str, Any], history_length: int, kinds: Sequence[str]
) -> tuple[dict[str, Any], tf.Tensor, tf.Tensor]:
    parsed = tf.io.parse_example(lines, features)
    _require_examples(parsed, kinds)
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


def _require_examples(parsed: dict[str, Any], kinds: Sequence[str]) -> None:
    """Stops the reading at what no ranker can learn from; `Examples.check` says the same of arrays."""
    candidates = parsed[CANDIDATES].row_lengths()
    _require(candidates > 0, "candidates of an example", candidates, "at least 1")
    for name in (LABELS, WEIGHTS):
        found = parsed[name].row_lengths()
        _require(found == candidates, f"{name} of an example", found, "as many as its candidates")
    for name in (HISTORY, CANDIDATES):
        items = parsed[name].flat_values
        _require((items >= 0) & (items <= tf.int32.max), name, items, "an item_index, at least 0, of int32")
    labels, weights = tf.reshape(parsed[LABELS].flat_values, (-1, len(kinds))), parsed[WEIGHTS].flat_values
    for place, kind in enumerate(kinds):
        _require_labels(labels[:, place], kind, unknown=len(kinds) > 1)
    _require((weights >= 0) & tf.math.is_finite(weights), WEIGHTS, weights, "finite and at least 0")


def _require_labels(labels: tf.Tensor, kind: str, unknown: bool) -> None:
    """Labels of one task; of several tasks, some may be unknown, NaN."""
    binary = kind == _BINARY
    right = (labels == 0) | (labels == 1) if binary else tf.math.is_finite(labels)
    if unknown:
        right |= tf.math.is_nan(labels)
    _require(right, LABELS, labels, "0 or 1" if binary else "finite")


def _require(right: tf.Tensor, name: str, values: tf.Tensor, wanted: str) -> None:
    wrong = tf.boolean_mask(values, ~right)
    tf.debugging.Assert(tf.reduce_all(right), [f"{name} must be {wanted}, got", wrong[:1]])
