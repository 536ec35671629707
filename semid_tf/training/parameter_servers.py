"""Training with tables sharded over parameter servers."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.errors import TrainingError
from semid_tf.models import Ranker


def on_parameter_servers() -> bool:
    """Whether the strategy in scope is a `tf.distribute.ParameterServerStrategy`."""
    return isinstance(tf.distribute.get_strategy(), tf.distribute.ParameterServerStrategy)


def batches_of_workers(make: Callable[[int], tf.data.Dataset]) -> tf_keras.utils.experimental.DatasetCreator:
    """What `fit` takes under parameter servers: each worker makes batches of its own, pass after pass.

    Args:
        make: number of the worker -> its batches; each worker draws from all examples, in another order.
    """
    return tf_keras.utils.experimental.DatasetCreator(lambda of: make(of.input_pipeline_id).repeat())


class FiniteEpochs(tf_keras.callbacks.Callback):
    """Ends a `fit` whose loss is no longer finite; steps run elsewhere, so that only epochs can be watched.

    Raises:
        TrainingError: at the end of that epoch.
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise TrainingError(f"the loss is not finite after epoch {epoch + 1}; lower learning_rate.")


def gathered_ranker(ranker: Ranker, folder: str | Path | None = None) -> Ranker:
    """The same ranker with whole tables in this process, to be scored with, saved and exported.

    Called outside the scope of the strategy that it was trained under.

    Args:
        ranker: its tables may be sharded over parameter servers.
        folder: where a checkpoint of it lies meanwhile; the servers must see it too. None = a temporary one,
            for servers of this machine.
    """
    whole = Ranker.from_config(ranker.get_config())
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = tf.train.Checkpoint(ranker).write(f"{place}/ranker")
        tf.train.Checkpoint(whole).read(path).assert_existing_objects_matched().expect_partial()
    return whole
