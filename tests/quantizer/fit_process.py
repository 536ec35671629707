"""A fit in a process of its own: `fit_process.py SETTINGS.json`; a worker of several if TF_CONFIG says so."""

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
    """Notes the weights after each epoch, and kills its own process after a step if asked to."""

    def __init__(self, kill_after: int) -> None:
        super().__init__()
        self.kill_after, self.steps, self.weights = kill_after, 0, list[np.ndarray]()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.steps += 1
        if self.steps == self.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.weights = self.model.get_weights()


def strategy_scope() -> Any:
    """Of the strategy that the environment asks for."""
    if "TF_CONFIG" not in os.environ:
        return nullcontext()
    return tf.distribute.MultiWorkerMirroredStrategy().scope()


def main(settings: dict[str, Any]) -> None:
    """Fits, and saves the weights of the result and of the last epoch."""
    watch = Watch(settings["kill_after"])
    with strategy_scope():
        model = sid.fit_rqvae(
            np.load(settings["embeddings"]),
            np.load(settings["weights"]),
            sid.RQVAEConfig(**settings["config"]),
            checkpoints=settings["checkpoints"],
            checkpoint_steps=settings["checkpoint_steps"],
            callbacks=[watch],
        )
    weights = {f"last_{i}": weight for i, weight in enumerate(watch.weights)}
    weights |= {f"best_{i}": weight for i, weight in enumerate(model.get_weights())}
    np.savez(settings["output"], steps=watch.steps, **weights)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
