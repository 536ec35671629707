"""Random hashing of item ids: the baseline that Semantic IDs replace."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.layers.pieces import PieceEmbedding
from semid_tf.layers.ragged import of_items


@tf_keras.saving.register_keras_serializable("semid_tf")
class HashedEmbedding(tf_keras.layers.Layer):
    """Item ids, string [...], to the vectors of the rows that they hash to, float32 [..., dim].

    The empty id is padding and gives a vector of zeros.

    Args:
        num_rows: rows of the table, the padding row 0 included.
        dim: of the vectors.
        seed: fixes the start.
        l2, dropout: of the table, see `PieceEmbedding`.
    """

    def __init__(
        self,
        num_rows: int,
        dim: int,
        seed: int = 0,
        l2: float = 0.0,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_rows, self.dim, self.seed, self.l2, self.dropout = num_rows, dim, seed, l2, dropout
        self.hashing = tf_keras.layers.Hashing(num_rows, mask_value="", name="hashing")
        self.pieces = PieceEmbedding(num_rows, dim, seed, l2=l2, dropout=dropout, name="pieces")
        self.pieces.build((None, 1))

    def piece_ids(self, item_ids: tf.Tensor) -> tf.Tensor:
        """The row of each item id, string [...]: int32 [..., 1]."""
        return tf.cast(self.hashing(item_ids), tf.int32)[..., None]

    def call(self, item_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return self.pieces(of_items(self.piece_ids, item_ids), training=training)

    def compute_mask(self, item_ids: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Which are ids, no padding: bool [...]."""
        return tf.not_equal(item_ids, "")

    def get_config(self) -> dict[str, Any]:
        names = ("num_rows", "dim", "seed", "l2", "dropout")
        return super().get_config() | {name: getattr(self, name) for name in names}
