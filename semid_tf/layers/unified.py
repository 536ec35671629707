"""An item's own row beside its Semantic ID."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.errors import ConfigError, DataError

COMBINATIONS = ("concatenated", "summed", "gated")


def unified_features(piece_ids: np.ndarray, id_rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """What `UnifiedEmbedding` takes: int32 [n, num_pieces + 2].

    Args:
        piece_ids: int [n, num_pieces], of a tokenizer.
        id_rows: int [n] or [n, 1], the row of each item's id; 0 = it has none.
        counts: int [n], how often each item was seen in training.

    Raises:
        DataError: they are not equally many, or a count is negative.

    >>> unified_features(np.array([[3, 1]]), np.array([7]), np.array([12]))
    array([[ 3,  1,  7, 12]], dtype=int32)
    """
    if not len(piece_ids) == len(id_rows) == len(counts):
        raise DataError(
            f"{len(piece_ids)} rows of pieces, {len(id_rows)} of ids and {len(counts)} counts; "
            "each item needs one of each."
        )
    if len(counts) and np.min(counts) < 0:
        raise DataError(f"counts[{int(np.argmin(counts))}] is {np.min(counts)}; it must be at least 0.")
    return np.concatenate([piece_ids, np.reshape(id_rows, (-1, 1)), counts[:, None]], axis=1).astype(np.int32)


@tf_keras.saving.register_keras_serializable("semid_tf")
class UnifiedEmbedding(tf_keras.layers.Layer):
    """Semantic ID and an item's own row in one vector: int32 [..., num_pieces + 2] to float32 [..., dim].

    An item that was never seen has exactly the vector of its Semantic ID, so that it ranks as well as without
    IDs. While training, IDs are left out at random, so that the Semantic ID learns to stand alone; give the
    IDs' table a start at zero (`spread=0`), and they learn only what the Semantic ID does not tell. Features
    are those of `unified_features`.

    Args:
        semantic: piece ids -> vectors, such as `PieceEmbedding`.
        ids: rows of ids, int32 [..., 1], -> vectors; of the same dimension unless concatenated.
        combine: `summed`; `gated`: summed, the ID times seen / (seen + half_seen); `concatenated`.
        half_seen: how often an item must be seen for half of its ID's weight.
        id_dropout: share of the items that do without their ID while training.

    Raises:
        ConfigError: an unknown combination, or half_seen or id_dropout out of range.
    """

    def __init__(
        self,
        semantic: tf_keras.layers.Layer,
        ids: tf_keras.layers.Layer,
        combine: str = "gated",
        half_seen: float = 10.0,
        id_dropout: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if combine not in COMBINATIONS:
            raise ConfigError(f"combine must be one of {', '.join(COMBINATIONS)}, got {combine!r}.")
        if not (half_seen >= 0 and 0 <= id_dropout <= 1):
            raise ConfigError(
                f"half_seen must be at least 0 and id_dropout between 0 and 1, got {half_seen}, {id_dropout}."
            )
        self.semantic, self.ids, self.combine = semantic, ids, combine
        self.half_seen, self.id_dropout = half_seen, id_dropout

    def build(self, input_shape: tf.TensorShape) -> None:
        for layer, width in ((self.semantic, input_shape[-1] - 2), (self.ids, 1)):
            if not layer.built:
                layer.build((None, width))
        super().build(input_shape)

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        semantic = self.semantic(features[..., :-2])
        ids = self.ids(features[..., -2:-1]) * self._id_weight(features[..., -1:], training)
        return tf.concat([semantic, ids], axis=-1) if self.combine == "concatenated" else semantic + ids

    def _id_weight(self, seen: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Of each item's ID, float32 [..., 1]; exactly 0 where it was never seen."""
        weight = tf.cast(seen > 0, tf.float32)
        if self.combine == "gated":
            count = tf.cast(seen, tf.float32)
            weight *= tf.math.divide_no_nan(count, count + self.half_seen)
        if training and self.id_dropout:
            weight *= tf.cast(tf.random.uniform(tf.shape(weight)) >= self.id_dropout, weight.dtype)
        return weight

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "semantic": tf_keras.saving.serialize_keras_object(self.semantic),
            "ids": tf_keras.saving.serialize_keras_object(self.ids),
            "combine": self.combine,
            "half_seen": self.half_seen,
            "id_dropout": self.id_dropout,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> UnifiedEmbedding:
        parts = {name: tf_keras.saving.deserialize_keras_object(config[name]) for name in ("semantic", "ids")}
        return cls(**config | parts)
