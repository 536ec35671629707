"""One table, one row a piece, an item the sum of its pieces."""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.errors import ConfigError
from semid_tf.layers.ragged import of_rows


@tf_keras.saving.register_keras_serializable("semid_tf")
class PieceEmbedding(tf_keras.layers.Layer):
    """Piece ids, int32 [..., num_pieces], to the sum of their rows, float32 [..., dim]; id 0 adds nothing.

    Args:
        num_rows: rows of the table, the padding row 0 included.
        dim: of the vectors.
        seed: fixes the start.
        spread: rows start uniformly in [-spread, spread]; 0 = at zero.
        l2: penalty on the squared length of a row, a mean over the rows looked up, so that gradients stay
            sparse.
        dropout: share of the pieces left out while training; the others are not scaled up.

    Raises:
        ConfigError: dropout is outside [0, 1].
    """

    def __init__(
        self,
        num_rows: int,
        dim: int,
        seed: int = 0,
        spread: float = 0.05,
        l2: float = 0.0,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= dropout <= 1:
            raise ConfigError(f"dropout must lie between 0 and 1, got {dropout}.")
        self.num_rows, self.dim, self.seed = num_rows, dim, seed
        self.spread, self.l2, self.dropout = spread, l2, dropout

    def build(self, input_shape: tf.TensorShape) -> None:
        start = tf_keras.initializers.RandomUniform(-self.spread, self.spread, seed=self.seed)
        self.table = self.add_weight(name="table", shape=(self.num_rows, self.dim), initializer=start)
        super().build(input_shape)

    def call(self, piece_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return of_rows(partial(self._vectors, training=training), piece_ids)

    def _vectors(self, piece_ids: tf.Tensor, training: bool | None) -> tf.Tensor:
        rows = tf.nn.embedding_lookup(self.table, piece_ids)  # it knows sharded tables
        used = tf.cast(piece_ids > 0, rows.dtype)
        if training and self.l2:
            self.add_loss(self.l2 * tf.math.divide_no_nan(_squares(rows, used), tf.reduce_sum(used)))
        if training and self.dropout:
            used *= tf.cast(tf.random.uniform(tf.shape(used)) >= self.dropout, rows.dtype)
        return tf.einsum("...pd,...p->...d", rows, used)

    def compute_mask(self, piece_ids: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Which items have a piece at all: bool [...]."""
        return of_rows(lambda ids: tf.reduce_any(ids > 0, axis=-1), piece_ids)

    def of_pieces(self, piece_ids: tf.Tensor) -> tf.Tensor:
        """Vectors of items of which only pieces are known: all that this layer asks for."""
        return self(piece_ids)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_rows": self.num_rows,
            "dim": self.dim,
            "seed": self.seed,
            "spread": self.spread,
            "l2": self.l2,
            "dropout": self.dropout,
        }


def _squares(rows: tf.Tensor, used: tf.Tensor) -> tf.Tensor:
    """Sum of the squared lengths of the rows in use."""
    return tf.reduce_sum(tf.reduce_sum(tf.square(rows), axis=-1) * used)
