"""A fit in a process of its own: `fit_process.py SETTINGS.json`.

It is a worker of several if TF_CONFIG says so, and has several replicas if the settings say so.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

import semid_tf as sid


class Watch(tf_keras.callbacks.Callback):
    """Notes weights and figures after each epoch, and kills its own process after a step if asked to."""

    def __init__(self, kill_after: int) -> None:
        super().__init__()
        self.kill_after, self.steps, self.revived = kill_after, 0, 0.0
        self.losses, self.weights = list[float](), list[np.ndarray]()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.steps += 1
        if self.steps == self.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        figures = logs or {}
        self.losses.append(figures["loss"])
        self.revived += sum(value for name, value in figures.items() if name.startswith("revived/"))
        self.weights = self.model.get_weights()


def strategy_scope(replicas: int) -> Any:
    """Of the strategy that the environment or the settings ask for."""
    if "TF_CONFIG" in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy().scope()
    if replicas == 1:
        return nullcontext()
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)]).scope()


def main(settings: dict[str, Any]) -> None:
    """Fits, and saves what was noted and the weights of the result."""
    watch = Watch(settings.get("kill_after", 0))
    embeddings = np.load(settings["embeddings"])
    with strategy_scope(settings.get("replicas", 1)):
        model = sid.fit_rqvae(
            embeddings,
            1 + np.arange(len(embeddings)) % 4 if settings.get("weighted") else None,
            sid.RQVAEConfig(**settings["config"]),
            checkpoints=settings.get("checkpoints"),
            checkpoint_steps=settings.get("checkpoint_steps", 0),
            callbacks=[watch],
        )
    weights = {f"last_{i}": weight for i, weight in enumerate(watch.weights)}
    weights |= {f"best_{i}": weight for i, weight in enumerate(model.get_weights())}
    np.savez(settings["output"], losses=watch.losses, revived=watch.revived, steps=watch.steps, **weights)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
