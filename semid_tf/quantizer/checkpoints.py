"""Checkpoints of a fit, from which it goes on exactly."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.artifacts import fingerprint
from semid_tf.config import RQVAEConfig, from_table
from semid_tf.errors import ArtifactError, ProvenanceError, TrainingError
from semid_tf.quantizer.code_figures import EpochFigures
from semid_tf.quantizer.keep_best import KeepBest, weights_in
from semid_tf.quantizer.replicas import equal_on_all_replicas
from semid_tf.quantizer.rqvae import RQVAE

_KEPT = 2
_NAME = "fit"
_STATE_KEY = "state/.ATTRIBUTES/py_state"


class Origin(NamedTuple):
    """What a fit is of.

    Attributes:
        config: the settings.
        embedding_dim: of the embeddings.
        data: fingerprint of embeddings, weights and what fixes their order.
    """

    config: RQVAEConfig
    embedding_dim: int
    data: str

    def to_json(self) -> str:
        """All of it as text."""
        return json.dumps({**self._asdict(), "config": dataclasses.asdict(self.config)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Origin:
        """The other way."""
        table = json.loads(text)
        return cls(from_table(RQVAEConfig, table["config"]), table["embedding_dim"], table["data"])

    def __str__(self) -> str:
        return f"settings {fingerprint(self.config)} and data {self.data}"


class Position:
    """How many steps are done."""

    def __init__(self) -> None:
        self.step = 0

    def state(self) -> dict[str, np.ndarray]:
        """The number, for a checkpoint."""
        return {"step": np.array(self.step)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Goes on at that step."""
        self.step = int(state["step"])


class FitParts(NamedTuple):
    """What a fit must remember beside model and optimizer."""

    position: Position
    figures: EpochFigures
    best: KeepBest

    def state(self) -> dict[str, np.ndarray]:
        """All of it; each key begins with the name of its part."""
        states = {name: part.state() for name, part in self._asdict().items()}
        return {f"{name}.{key}": value for name, state in states.items() for key, value in state.items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Goes on where `state` was taken."""
        for name, part in self._asdict().items():
            part.restore(part_of(state, name))


def part_of(state: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """What belongs to one part."""
    return {key.partition(".")[2]: value for key, value in state.items() if key.startswith(f"{name}.")}


class _State(tf.train.experimental.PythonState):
    """Origin and parts as one string inside a TensorFlow checkpoint."""

    def __init__(self, origin: Origin, parts: FitParts) -> None:
        super().__init__()
        self._origin, self._parts = origin, parts

    def serialize(self) -> bytes:
        file = io.BytesIO()
        arrays: dict[str, Any] = {"origin": np.array(self._origin.to_json())} | self._parts.state()
        np.savez(file, **arrays)
        return file.getvalue()

    def deserialize(self, string_value: bytes) -> None:
        self._parts.restore(_read_state(string_value)[1])


def _read_state(text: bytes) -> tuple[Origin, dict[str, np.ndarray]]:
    with np.load(io.BytesIO(text), allow_pickle=False) as file:
        arrays = dict(file)
    return Origin.from_json(str(arrays.pop("origin"))), arrays


class FitCheckpoints(tf_keras.callbacks.Callback):
    """Saves a fit at the end of each epoch, and in between if asked to.

    A checkpoint is the model, its optimizer and the parts. It becomes visible when it is whole; the last two
    are kept. One whose weights are not finite is not written. Under a multi-worker strategy the chief writes,
    and all workers must see the same folder.

    Args:
        folder: where they lie.
        model: compiled.
        origin: what the fit is of.
        parts: what else is saved.
        every_steps: also after so many steps; 0 = at the end of an epoch only.
    """

    def __init__(
        self,
        folder: str | Path,
        model: RQVAE,
        origin: Origin,
        parts: FitParts,
        every_steps: int = 0,
    ) -> None:
        super().__init__()
        self.folder, self.origin, self.every_steps = Path(folder), origin, every_steps
        self._fitted, self._position = model, parts.position
        state = _State(origin, parts)
        checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, state=state)
        checkpoint.save_counter  # noqa: B018 - workers make this variable together
        self._manager = tf.train.CheckpointManager(checkpoint, str(folder), _KEPT, checkpoint_name=_NAME)
        self._checkpoint = checkpoint

    @property
    def latest(self) -> str | None:
        """Path of the last good checkpoint."""
        return self._manager.latest_checkpoint

    def restore(self) -> bool:
        """Goes on where the latest checkpoint was taken; False if there is none.

        Raises:
            ProvenanceError: it is of other settings or embeddings; both are named.
            ArtifactError: it cannot be read.
            TrainingError: the workers do not see the same folder.
        """
        if self.latest:
            found, _ = _read_checkpoint(self.latest)
            if found != self.origin:
                raise ProvenanceError(
                    f"{self.folder} holds checkpoints of {found}, but this fit has {self.origin}; give it "
                    "another folder, or remove this one."
                )
            self._checkpoint.restore(self.latest).assert_existing_objects_matched()
        if not equal_on_all_replicas(self._position.step):
            raise TrainingError(f"the workers see other checkpoints in {self.folder}; give them one folder.")
        return self.latest is not None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # The last step of an epoch is saved when the epoch has been judged.
        within = batch + 1 < self.params["steps"]
        if within and self.every_steps and self._position.step % self.every_steps == 0:
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._save()

    def _save(self) -> None:
        writes = tf.distribute.get_strategy().extended.should_checkpoint
        if writes and all(np.isfinite(weight).all() for weight in self._fitted.get_weights()):
            self._manager.save(checkpoint_number=self._position.step)


def _read_checkpoint(path: str) -> tuple[Origin, dict[str, np.ndarray]]:
    try:
        return _read_state(tf.train.load_checkpoint(path).get_tensor(_STATE_KEY))
    except (tf.errors.OpError, KeyError, ValueError, RuntimeError) as error:
        raise ArtifactError(
            f"{path} is no checkpoint of a fit, or a damaged one; remove its folder."
        ) from error


def load_checkpoint(folder: str | Path) -> RQVAE:
    """The best weights so far of a fit that has not ended, or ended by an error.

    Args:
        folder: the `checkpoints` of `fit_rqvae`.

    Raises:
        ArtifactError: there is no checkpoint, or it cannot be read.
    """
    latest = tf.train.latest_checkpoint(str(folder))
    if latest is None:
        raise ArtifactError(f"{folder} has no checkpoint; give the folder that a fit was given.")
    origin, state = _read_checkpoint(latest)
    model = RQVAE(origin.embedding_dim, origin.config)
    model.set_weights(weights_in(part_of(state, "best")))
    return model
