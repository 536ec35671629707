"""What training shows while it runs, and when it stops."""

from __future__ import annotations

import math
import sys
from typing import Any

import tf_keras
from tqdm import tqdm

from semid_tf.errors import TrainingError

_SHOWN = ("loss", "normalized_mse")


class ProgressBar(tf_keras.callbacks.Callback):
    """One bar over all steps of a `fit`, with the latest figures.

    Args:
        title: what is being trained.
        epochs: of the `fit`.
    """

    def __init__(self, title: str, epochs: int) -> None:
        super().__init__()
        self.title, self.epochs = title, epochs

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Into a log file only a line now and then.
        pause = 0.2 if sys.stderr.isatty() else 20.0
        self.bar = tqdm(desc=self.title, unit="step", dynamic_ncols=True, mininterval=pause)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        steps = self.params.get("steps")
        if steps:
            self.bar.total = steps * self.epochs

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        figures = logs or {}
        self.bar.set_postfix({name: f"{figures[name]:.4f}" for name in _SHOWN if name in figures})

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.bar.close()


class FiniteLoss(tf_keras.callbacks.Callback):
    """Ends a `fit` whose loss is no longer finite.

    Raises:
        TrainingError: at the end of that epoch.
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            raise TrainingError(f"the loss is not finite in epoch {epoch + 1}; lower learning_rate.")
