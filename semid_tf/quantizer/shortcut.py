"""A linear map and a small MLP that starts at zero: an encoder or decoder that begins as PCA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras


@tf_keras.saving.register_keras_serializable("semid_tf")
class LinearPlusMLP(tf_keras.layers.Layer):
    """x -> x W + MLP(x), float32 [n, input_dim] -> [n, output_dim].

    The MLP (one hidden layer, ReLU, as in Singh et al. 2024) has an output of zero at the start, so that a
    model whose linear part is set to a PCA is that PCA before training, and training can only add to it.
    """

    def __init__(self, output_dim: int, hidden_dim: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_dim, self.hidden_dim, self.seed = output_dim, hidden_dim, seed
        start = tf_keras.initializers.GlorotUniform(seed=seed)
        self.linear = tf_keras.layers.Dense(output_dim, kernel_initializer=start, name="linear")
        self.hidden = tf_keras.layers.Dense(hidden_dim, "relu", kernel_initializer=start, name="hidden")
        self.correction = tf_keras.layers.Dense(
            output_dim, use_bias=False, kernel_initializer="zeros", name="correction"
        )

    def build(self, input_shape: tf.TensorShape) -> None:
        self.linear.build(input_shape)
        self.hidden.build(self._shape_before_mlp(input_shape))
        self.correction.build((None, self.hidden_dim))
        super().build(input_shape)

    def _shape_before_mlp(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        return input_shape

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.disturbed(inputs, tf.identity)

    def disturbed(self, inputs: tf.Tensor, drop: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """The same with something done to the hidden layer, float32 [n, hidden_dim]."""
        return self.linear(inputs) + self.correction(drop(self.hidden(inputs)))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "output_dim": self.output_dim,
            "hidden_dim": self.hidden_dim,
            "seed": self.seed,
        }


@tf_keras.saving.register_keras_serializable("semid_tf")
class LinearThenMLP(LinearPlusMLP):
    """x -> z + MLP(z) with z = x W, float32 [n, input_dim] -> [n, output_dim].

    As good an encoder: what a PCA leaves out is too little for an MLP to learn from. At 768 dimensions, of
    which a catalogue fills 48, it takes a third of the products.
    """

    def _shape_before_mlp(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        return tf.TensorShape((None, self.output_dim))

    def disturbed(self, inputs: tf.Tensor, drop: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        linear = self.linear(inputs)
        return linear + self.correction(drop(self.hidden(linear)))
