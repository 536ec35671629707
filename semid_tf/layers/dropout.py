"""Dropout whose draws are counted, so that a training that is resumed draws on."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.layers.counted_seed import CountedSeed


@tf_keras.saving.register_keras_serializable("semid_tf")
class CountedDropout(tf_keras.layers.Layer):
    """Dropout that depends on its seed and on how often it was called in training, and on nothing else.

    Args:
        rate: share of the values set to 0, in [0, 1); the others are scaled up.
        seed: fixes the draws; give every place in a model its own.
    """

    def __init__(self, rate: float, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate, self.seed, self.draws = rate, seed, CountedSeed(seed)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not self.rate:
            return inputs
        return tf.nn.experimental.stateless_dropout(inputs, self.rate, self.draws.next())

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"rate": self.rate, "seed": self.seed}
