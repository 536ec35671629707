"""Examples -> `tf.data` batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from semid_tf.data.examples import Examples

HISTORY = "history"
CANDIDATES = "candidates"
CONTEXT = "context"


def training_batches(examples: Examples, batch_size: int, seed: int) -> tf.data.Dataset:
    """Shuffled batches for `fit`; each pass has another order, and the passes are the same for the same seed.

    Only row numbers are shuffled; the arrays are held once, outside the graph.

    Args:
        examples: n examples.
        batch_size: examples in a batch; the last may be smaller.
        seed: fixes the order of every pass (together with `tf.random.set_seed`, if that was called).

    Yields:
        `({"history": int32 [b, H], "candidates": int32 [b, C]}, labels, weights)`, the latter float32 [b, C];
        where examples have a context, also `"context"`, a dict of [b].
    """
    gather = _gather((_inputs(examples), examples.labels, examples.weights))
    rows = tf.data.Dataset.range(len(examples)).shuffle(
        max(len(examples), 1), seed, reshuffle_each_iteration=True
    )
    return rows.batch(batch_size).map(gather, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def scoring_batches(examples: Examples, batch_size: int) -> tf.data.Dataset:
    """Batches in order, for `predict`.

    Yields:
        `{"history": int32 [b, H], "candidates": int32 [b, C]}`, and perhaps `"context"`.
    """
    rows = tf.data.Dataset.range(len(examples)).batch(batch_size)
    return rows.map(_gather(_inputs(examples)), tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _inputs(examples: Examples) -> dict[str, Any]:
    """The arrays that a ranker is called with."""
    context = {CONTEXT: dict(examples.context)} if examples.context else {}
    return {HISTORY: examples.history, CANDIDATES: examples.candidates, **context}


def _gather(arrays: Any) -> Callable[[tf.Tensor], Any]:
    """Looks rows up in tensors made here, eagerly: a graph captures them instead of embedding them.

    A structure of arrays gives the same structure of tensors.
    """
    with tf.device("/CPU:0"):
        tensors = tf.nest.map_structure(tf.constant, arrays)
    return lambda rows: tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), tensors)
