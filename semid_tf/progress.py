"""What training shows while it runs, and when it stops."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
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
        live: further figures that are shown during an epoch too; asked only when the bar is drawn.
        done: steps that were done before.
    """

    def __init__(
        self, title: str, epochs: int, live: Callable[[], dict[str, str]] = dict, done: int = 0
    ) -> None:
        super().__init__()
        self.title, self.epochs, self.live, self.done = title, epochs, live, done
        self._figures: dict[str, str] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Into a log file only a line now and then.
        pause = 0.2 if sys.stderr.isatty() else 20.0
        self.bar = tqdm(
            desc=self.title, unit="step", dynamic_ncols=True, mininterval=pause, initial=self.done
        )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        steps = self.params.get("steps")
        if steps:
            self.bar.total = steps * self.epochs

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.bar.update():  # it was drawn, so what it shows next is worth the asking
            self._show()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        figures = logs or {}
        self._figures = {name: f"{figures[name]:.4f}" for name in _SHOWN if name in figures}
        self._show()

    def _show(self) -> None:
        self.bar.set_postfix(self._figures | self.live())

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.bar.close()


class FiniteLoss(tf_keras.callbacks.Callback):
    """Ends a `fit` whose loss is no longer finite.

    Args:
        last_good: path of the last good checkpoint, or None.

    Raises:
        TrainingError: at the end of that step.
    """

    def __init__(self, last_good: Callable[[], str | None] = lambda: None) -> None:
        super().__init__()
        self.last_good, self._epoch = last_good, 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            path = self.last_good()
            kept = f"; the last good checkpoint is {path}" if path else ""
            raise TrainingError(
                f"the loss is not finite in epoch {self._epoch + 1}, step {batch + 1}; "
                f"lower learning_rate{kept}."
            )
