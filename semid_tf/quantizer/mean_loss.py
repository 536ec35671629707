"""The loss that Keras shows."""

from __future__ import annotations

import tensorflow as tf
import tf_keras


class MeanLoss:
    """The mean over all batches since the last reset, each by its weight.

    The metric lies in here, where Keras does not look for weights: its sums belong neither to the fingerprint
    nor to the files of a model.
    """

    def __init__(self) -> None:
        self.metric = tf_keras.metrics.Mean("loss")

    def add(self, loss: tf.Tensor, weight: tf.Tensor) -> dict[str, tf.Tensor]:
        """Takes in the loss and the weight of a batch, scalars; what a step of Keras returns."""
        self.metric.update_state(loss, weight)
        return {"loss": self.metric.result()}
