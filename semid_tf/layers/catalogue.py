"""The fast path: features of all known items computed once, then a gather."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.layers.ragged import of_items


@tf_keras.saving.register_keras_serializable("semid_tf")
class CatalogueEmbedding(tf_keras.layers.Layer):
    """Item indices, int32 [...], to item vectors, float32 [..., dim]; index 0 (padding, unknown) gives zeros.

    Each different item of a batch is embedded once, however often it occurs.

    Args:
        embedding: the layer that turns features into vectors, such as `PieceEmbedding`.
        num_items: of the catalogue; valid indices are 1 to num_items.
        feature_shape: shape of one item's features, such as [num_pieces].
        feature_dtype: their type.

    >>> from semid_tf import PieceEmbedding
    >>> layer = CatalogueEmbedding.of(np.array([[1, 2], [3, 0]], np.int32), PieceEmbedding(4, 8))
    >>> layer(tf.constant([[2, 0, 1]])).shape
    TensorShape([1, 3, 8])
    """

    #: The index that stands where there is no item.
    padding = 0

    def __init__(
        self,
        embedding: tf_keras.layers.Layer,
        num_items: int,
        feature_shape: tuple[int, ...],
        feature_dtype: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.embedding, self.num_items = embedding, num_items
        self.feature_shape, self.feature_dtype = tuple(feature_shape), feature_dtype
        if not embedding.built:
            embedding.build((None, *self.feature_shape))
        self.features = self.add_weight(
            name="features",
            shape=(num_items + 1, *self.feature_shape),
            dtype=feature_dtype,
            initializer="zeros",
            trainable=False,
        )

    @classmethod
    def of(cls, features: np.ndarray, embedding: tf_keras.layers.Layer) -> CatalogueEmbedding:
        """A catalogue of known features, [num_items, *feature_shape]."""
        layer = cls(embedding, len(features), features.shape[1:], features.dtype.name)
        layer.set_features(features)
        return layer

    def set_features(self, features: np.ndarray) -> None:
        """Replaces the features of all items, [num_items, *feature_shape]."""
        self.features.assign(np.concatenate([np.zeros_like(features[:1]), features]))

    def call(self, item_index: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        # Keras hands `training` on to the embedding, because it stands among the arguments here.
        return of_items(self._vectors, item_index)

    def _vectors(self, item_index: tf.Tensor) -> tf.Tensor:
        distinct, place = tf.unique(tf.reshape(item_index, [-1]))
        vectors = self.embedding(tf.nn.embedding_lookup(self.features, distinct))
        vectors *= tf.cast(distinct > 0, vectors.dtype)[:, None]
        vectors = tf.reshape(
            tf.gather(vectors, place), tf.concat([tf.shape(item_index), [vectors.shape[-1]]], 0)
        )
        return tf.ensure_shape(vectors, (*item_index.shape, vectors.shape[-1]))

    def compute_mask(self, item_index: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Which are items, neither padding nor unknown: bool [...]."""
        return item_index > 0

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "embedding": tf_keras.saving.serialize_keras_object(self.embedding),
            "num_items": self.num_items,
            "feature_shape": list(self.feature_shape),
            "feature_dtype": self.feature_dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CatalogueEmbedding:
        return cls(**config | {"embedding": tf_keras.saving.deserialize_keras_object(config["embedding"])})
