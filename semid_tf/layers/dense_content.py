"""Content embeddings straight into the ranker: the second baseline."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.layers.ragged import of_rows


@tf_keras.saving.register_keras_serializable("semid_tf")
class DenseContentEmbedding(tf_keras.layers.Layer):
    """Content embeddings, float32 [..., embedding_dim], to item vectors, float32 [..., dim].

    Any embedding may be an item's, zeros too, so that a mask comes from the layer in front, if there is one.

    Args:
        dim: of the vectors.
        hidden_dims: widths of the hidden layers (Dense Input of Singh et al. 2024).
        seed: fixes the start.
    """

    def __init__(self, dim: int, hidden_dims: tuple[int, ...] = (128,), seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim, self.hidden_dims, self.seed = dim, tuple(hidden_dims), seed
        self.supports_masking = True
        start = tf_keras.initializers.GlorotUniform(seed=seed)
        self.hidden = [
            tf_keras.layers.Dense(width, "relu", kernel_initializer=start) for width in self.hidden_dims
        ]
        self.projection = tf_keras.layers.Dense(dim, kernel_initializer=start, name="projection")

    def build(self, input_shape: tf.TensorShape) -> None:
        width = input_shape[-1]
        for layer in (*self.hidden, self.projection):
            layer.build((None, width))
            width = layer.units
        super().build(input_shape)

    def call(self, embedding: tf.Tensor) -> tf.Tensor:
        return of_rows(self._vectors, embedding)

    def _vectors(self, embedding: tf.Tensor) -> tf.Tensor:
        for layer in self.hidden:
            embedding = layer(embedding)
        return self.projection(embedding)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "dim": self.dim,
            "hidden_dims": list(self.hidden_dims),
            "seed": self.seed,
        }
