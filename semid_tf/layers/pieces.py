"""One table, one row a piece, an item the sum of its pieces."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras


@tf_keras.saving.register_keras_serializable("semid_tf")
class PieceEmbedding(tf_keras.layers.Layer):
    """Piece ids, int32 [..., num_pieces], to the sum of their rows, float32 [..., dim]; id 0 adds nothing.

    Args:
        num_rows: rows of the table, the padding row 0 included.
        dim: of the vectors.
        seed: fixes the start.
    """

    def __init__(self, num_rows: int, dim: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_rows, self.dim, self.seed = num_rows, dim, seed

    def build(self, input_shape: tf.TensorShape) -> None:
        start = tf_keras.initializers.RandomUniform(-0.05, 0.05, seed=self.seed)
        self.table = self.add_weight(name="table", shape=(self.num_rows, self.dim), initializer=start)
        super().build(input_shape)

    def call(self, piece_ids: tf.Tensor) -> tf.Tensor:
        rows = tf.gather(self.table, piece_ids)
        weights = tf.cast(piece_ids > 0, rows.dtype)
        return tf.einsum("...pd,...p->...d", rows, weights)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"num_rows": self.num_rows, "dim": self.dim, "seed": self.seed}
