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
        dropout: share of an item's pieces left out in training, the others weighing more for it; an item of
            one piece keeps it. Pieces learn to stand alone, which cold items need.
    """

    def __init__(self, num_rows: int, dim: int, seed: int = 0, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_rows, self.dim, self.seed, self.dropout = num_rows, dim, seed, dropout

    def build(self, input_shape: tf.TensorShape) -> None:
        start = tf_keras.initializers.RandomUniform(-0.05, 0.05, seed=self.seed)
        self.table = self.add_weight(name="table", shape=(self.num_rows, self.dim), initializer=start)
        super().build(input_shape)

    def call(self, piece_ids: tf.Tensor, training: bool = False) -> tf.Tensor:
        rows = tf.gather(self.table, piece_ids)
        weights = tf.cast(piece_ids > 0, rows.dtype)
        if training and self.dropout and piece_ids.shape[-1] > 1:
            weights = tf.nn.dropout(weights, self.dropout)
        return tf.einsum("...pd,...p->...d", rows, weights)

    def get_config(self) -> dict[str, Any]:
        sizes = {"num_rows": self.num_rows, "dim": self.dim}
        return super().get_config() | sizes | {"seed": self.seed, "dropout": self.dropout}
