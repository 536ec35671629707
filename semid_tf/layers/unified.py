"""What items share with others, and what is their own: Semantic IDs beside ids or coarse pieces."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.errors import ConfigError, DataError
from semid_tf.layers.ragged import of_rows

COMBINATIONS = ("concatenated", "summed")


def unified_features(piece_ids: np.ndarray, own_rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """What `UnifiedEmbedding` takes: int32 [n, num_pieces + num_own + 1].

    Args:
        piece_ids: int [n, num_pieces], what items share.
        own_rows: int [n] or [n, num_own], such as the row that each item's id hashes to; 0 = none.
        counts: int [n], how often each item was seen in training.

    Raises:
        DataError: they are not equally many, or a count is negative.

    >>> unified_features(np.array([[3, 1]]), np.array([7]), np.array([12]))
    array([[ 3,  1,  7, 12]], dtype=int32)
    """
    if not len(piece_ids) == len(own_rows) == len(counts):
        raise DataError(
            f"{len(piece_ids)} rows of pieces, {len(own_rows)} of own rows and {len(counts)} counts; "
            "each item needs one of each."
        )
    if len(counts) and np.min(counts) < 0:
        raise DataError(f"counts[{int(np.argmin(counts))}] is {np.min(counts)}; it must be at least 0.")
    return np.column_stack([piece_ids, own_rows, counts]).astype(np.int32)


@tf_keras.saving.register_keras_serializable("semid_tf")
class UnifiedEmbedding(tf_keras.layers.Layer):
    """Shared and own pieces in one vector: int32 [..., num_pieces + num_own + 1] to float32 [..., dim].

    An item that was never seen has no own part: exactly zeros. While training, own parts are left out at
    random, so that what is shared learns to stand alone. Features are those of `unified_features`.

    Args:
        semantic: pieces -> vectors, such as `PieceEmbedding`.
        own: own rows, int32 [..., num_own], -> vectors of the same width; None = by the table of `semantic`.
            A start at zero (`spread=0`) learns only what the shared pieces do not tell.
        num_own: columns of own rows.
        combine: `summed`, or `concatenated`, [shared, own], as `TwoViews` takes it.
        half_seen: gates the own part by how often the item was seen: seen / (seen + half_seen); 0 = no gate
            for items seen at all.
        own_dropout: share of the items that do without their own part while training.

    Raises:
        ConfigError: an unknown combination, or a number out of range.
    """

    def __init__(
        self,
        semantic: tf_keras.layers.Layer,
        own: tf_keras.layers.Layer | None = None,
        num_own: int = 1,
        combine: str = "summed",
        half_seen: float = 0.0,
        own_dropout: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if combine not in COMBINATIONS:
            raise ConfigError(f"combine must be one of {', '.join(COMBINATIONS)}, got {combine!r}.")
        if not (num_own >= 1 and half_seen >= 0 and 0 <= own_dropout <= 1):
            raise ConfigError(
                "num_own must be at least 1, half_seen at least 0 and own_dropout between 0 and 1, "
                f"got {num_own}, {half_seen}, {own_dropout}."
            )
        self.semantic, self.own, self.num_own = semantic, own, num_own
        self.combine, self.half_seen, self.own_dropout = combine, half_seen, own_dropout

    def build(self, input_shape: tf.TensorShape) -> None:
        self._num_features = int(input_shape[-1])
        for layer, width in ((self.semantic, input_shape[-1] - self.num_own - 1), (self.own, self.num_own)):
            if layer and not layer.built:
                layer.build((None, width))
        super().build(input_shape)

    def call(self, features: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return of_rows(partial(self._vectors, training=training), features)

    def compute_mask(self, features: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Which items have a feature at all: bool [...]."""
        return of_rows(lambda rows: tf.reduce_any(rows > 0, axis=-1), features)

    def _vectors(self, features: tf.Tensor, training: bool | None) -> tf.Tensor:
        last = -self.num_own - 1
        shared = self.semantic(features[..., :last])
        own = (self.own or self.semantic)(features[..., last:-1])
        own *= self._own_weight(features[..., -1:], training)
        return tf.concat([shared, own], axis=-1) if self.combine == "concatenated" else shared + own

    def _own_weight(self, seen: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Of each item's own part, float32 [..., 1]; exactly 0 where it was never seen."""
        count = tf.cast(seen, tf.float32)
        weight = tf.math.divide_no_nan(count, count + self.half_seen)
        if training and self.own_dropout:
            weight *= tf.cast(tf.random.uniform(tf.shape(weight)) >= self.own_dropout, weight.dtype)
        return weight

    def of_pieces(self, piece_ids: tf.Tensor) -> tf.Tensor:
        """Vectors of items of which only pieces are known, int32 [n, num]: as if they were never seen."""
        missing = self._num_features - piece_ids.shape[-1]
        return self(tf.pad(piece_ids, [[0, 0], [0, missing]]))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "semantic": tf_keras.saving.serialize_keras_object(self.semantic),
            "own": tf_keras.saving.serialize_keras_object(self.own),
            "num_own": self.num_own,
            "combine": self.combine,
            "half_seen": self.half_seen,
            "own_dropout": self.own_dropout,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> UnifiedEmbedding:
        parts = {name: tf_keras.saving.deserialize_keras_object(config[name]) for name in ("semantic", "own")}
        return cls(**config | parts)
