"""A checkpoint after each epoch of a sequence model, from which training goes on exactly."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.artifacts import fingerprint
from semid_tf.errors import ProvenanceError
from semid_tf.models import SequentialModel


class Judged(Protocol):
    """What was found of the epochs so far, see `BestEpoch`."""

    figures: list[dict[str, float]]
    weights: list[np.ndarray]


class Unjudged:
    """Nothing, of a fit that takes all its epochs."""

    def __init__(self) -> None:
        self.figures: list[dict[str, float]] = []
        self.weights: list[np.ndarray] = []


class _State(tf.train.experimental.PythonState):
    """What was judged so far, and of which fit it is."""

    def __init__(self, origin: str, judged: Judged) -> None:
        super().__init__()
        self.origin, self.judged = origin, judged

    def serialize(self) -> bytes:
        file = io.BytesIO()
        text = json.dumps({"origin": self.origin, "figures": self.judged.figures})
        np.savez(file, text, *self.judged.weights)
        return file.getvalue()

    def deserialize(self, string_value: bytes) -> None:
        with np.load(io.BytesIO(string_value), allow_pickle=False) as arrays:
            first, *weights = (arrays[name] for name in arrays.files)
        state = json.loads(str(first))
        if state["origin"] != self.origin:
            raise ProvenanceError(
                f"the checkpoint is of a fit {state['origin']}, this is {self.origin}; "
                "give another folder for checkpoints."
            )
        self.judged.figures, self.judged.weights = state["figures"], weights


class EpochCheckpoints(tf_keras.callbacks.Callback):
    """Writes model, optimizer and what was judged after each epoch; keeps the latest.

    Args:
        folder: of the checkpoints.
        model: compiled, its optimizer built.
        judged: what was found of the epochs; what judges them must be called before.
        origin: settings and data, see `fingerprint`.
    """

    def __init__(
        self, folder: str | Path, model: SequentialModel, judged: Judged, origin: tuple[Any, ...]
    ) -> None:
        super().__init__()
        state = _State(fingerprint(_nameless(model.get_config()), *model.get_weights(), *origin), judged)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, state=state)
        self.manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1)

    def restore(self) -> int:
        """Goes on from the latest checkpoint, if there is one; the number of epochs done."""
        path = self.manager.restore_or_initialize()
        return int(path.rpartition("-")[2]) + 1 if path else 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.manager.save(epoch)


def _nameless(config: Any) -> Any:
    """A config without the names of layers, which count how many were made before."""
    if isinstance(config, dict):
        return {key: _nameless(value) for key, value in config.items() if key != "name"}
    return [_nameless(value) for value in config] if isinstance(config, list) else config
