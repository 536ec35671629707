"""Seeds of one draw after the other, so that a training that is resumed draws on."""

from __future__ import annotations

import tensorflow as tf
import tf_keras


class CountedSeed(tf_keras.layers.Layer):
    """Seeds for stateless draws; each depends on how often one was asked for, which is saved as a weight.

    Args:
        seed: the first half of each.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(name="seed")
        self.seed = seed
        self.calls = self.add_weight(
            name="calls", shape=(), dtype=tf.int32, initializer="zeros", trainable=False
        )

    def next(self) -> tf.Tensor:
        """The next one, int32 [2]."""
        return tf.stack([self.seed, self.calls.assign_add(1)])
