"""Keeps the best weights of a fit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.data.embedding_source import WeightedRows
from semid_tf.quantizer.chunks import in_chunks
from semid_tf.quantizer.idle_codes import use_idle_codes
from semid_tf.quantizer.metrics import code_counts, normalized_mse

_PATIENCE, _FAR, _HARDLY_MORE = 5, 1.5, 1.001
# By so many times, and so much of the variance: an error near zero may well be a multiple of another.
_TIMES, _MORE = 1.5, 0.1
_CALLER_OF_FIT = 3
_GraphFunction = Callable[[np.ndarray], tf.Tensor]


class DivergenceWarning(UserWarning):
    """A fit ended with a much larger error than it once had."""


class KeepBest(tf_keras.callbacks.Callback):
    """Keeps the weights of the epoch, the start included, with the least weighted reconstruction error.

    Stops a fit that does not better its start: after five epochs and half of all, or a quarter where the
    error is then more than 1.5 times as large.

    Args:
        judged: the items by which it judges.
    """

    def __init__(self, judged: WeightedRows) -> None:
        super().__init__()
        self.judged = judged
        self.best_error, self.best_epoch, self.best_weights = math.inf, 0, list[np.ndarray]()
        self.last_error = math.inf

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._judge = self._over_embeddings(self.model.call)
        if not self.best_weights:
            self._keep_if_better(0)
        if self._gives_up(self._epochs_done()):  # as it had when it was saved
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        error = self.last_error = self._keep_if_better(epoch + 1)
        if self._gives_up(epoch + 1):
            self.model.stop_training = True
        if logs is not None:
            logs["normalized_mse"] = error

    def _epochs_done(self) -> int:
        return int(self.model.optimizer.iterations.numpy()) // self.params["steps"]

    def _gives_up(self, epochs_done: int) -> bool:
        far = self.last_error > _FAR * self.best_error
        enough = self.params["epochs"] // (4 if far else 2)
        return self.best_epoch == 0 and epochs_done >= max(_PATIENCE, enough)

    def on_train_end(self, logs: dict | None = None) -> None:
        self.model.set_weights(self.best_weights)

    def settle(self, items: WeightedRows) -> None:
        """Once trained: codes that no item has move to where they are needed, at .1 % more error at most."""
        if use_idle_codes(self.model, items):
            self.model.restart_averages()
            self._keep_if_better(self.best_epoch, _HARDLY_MORE)
            self.model.set_weights(self.best_weights)

    def _keep_if_better(self, epoch: int, times: float = 1.0) -> float:
        restored = in_chunks(self._judge, self.judged.embeddings)
        error = normalized_mse(self.judged.embeddings, restored, self.judged.weights)
        # No number where the judged are all equal.
        if error < times * self.best_error or not self.best_weights:
            self.best_error, self.best_epoch, self.best_weights = error, epoch, self.model.get_weights()
        return error

    def warn_of_divergence(self) -> None:
        """A `DivergenceWarning` where the last epoch is much worse than the best."""
        if _TIMES * self.best_error + _MORE < self.last_error < math.inf:
            warnings.warn(
                f"training diverged: normalized MSE {self.last_error:.3g} in the last epoch, "
                f"{self.best_error:.3g} in epoch {self.best_epoch}, which is kept; lower learning_rate.",
                DivergenceWarning,
                stacklevel=_CALLER_OF_FIT,
            )

    def code_counts(self, items: WeightedRows) -> np.ndarray:
        """Items that have each code: int64 [num_levels, codebook_size]."""
        codes = in_chunks(self._over_embeddings(self.model.encode), items.embeddings)
        return code_counts(codes, self.model.code_space)

    def _over_embeddings(self, function: Callable[[tf.Tensor], tf.Tensor]) -> _GraphFunction:
        rows = tf.TensorSpec((None, self.judged.embeddings.shape[1]), tf.float32)
        return tf.function(function, input_signature=[rows])

    def state(self) -> dict[str, np.ndarray]:
        """All of it, for a checkpoint."""
        weights = {f"weight_{i}": weight for i, weight in enumerate(self.best_weights)}
        errors = {"error": np.array(self.best_error), "last_error": np.array(self.last_error)}
        return weights | errors | {"epoch": np.array(self.best_epoch)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Goes on where `state` was taken."""
        self.best_error, self.best_epoch = float(state["error"]), int(state["epoch"])
        self.last_error = float(state["last_error"])
        self.best_weights = weights_in(state)


def weights_in(state: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The best weights in a `KeepBest.state`, in the model's order."""
    return [state[f"weight_{i}"] for i in range(sum(key.startswith("weight_") for key in state))]
