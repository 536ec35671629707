"""Item vectors as product codes: a vector's parts come from a codebook each (Jegou et al. 2011)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.errors import ConfigError
from semid_tf.quantizer.kmeans import weighted_kmeans

_ITERATIONS = 25


@tf_keras.saving.register_keras_serializable("semid_tf")
class ProductToken(tf_keras.layers.Layer):
    """Rows of codebooks side by side: item indices, int32 [n], to float32 [n, dim].

    An item costs `num_parts` codes, a byte each up to 256 rows, where its own row would cost `dim` floats.
    Codebooks can be trained, codes cannot.

    Args:
        num_items: of the catalogue; valid indices are 0 (padding) to num_items.
        num_parts: codes an item; divides `dim`.
        codebook_size: rows of each part's codebook.
        dim: of the vectors.
        encoder: makes the vector of an item that is known by content alone, as that of `ContentToken`; a
            narrower one is padded with zeros, no ID is borrowed. None: such an item's vector is zero.

    Raises:
        ConfigError: `num_parts` does not divide `dim`.
    """

    def __init__(
        self,
        num_items: int,
        num_parts: int,
        codebook_size: int,
        dim: int,
        encoder: tf_keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if dim % num_parts:
            raise ConfigError(f"num_parts must divide dim, {dim}, got {num_parts}.")
        self.num_items, self.num_parts, self.codebook_size = num_items, num_parts, codebook_size
        self.dim, self.encoder = dim, encoder

    def build(self, input_shape: Any) -> None:
        self.codes = self.add_weight(
            name="codes",
            shape=(self.num_items + 1, self.num_parts),
            dtype=tf.uint8 if self.codebook_size <= 256 else tf.int32,
            initializer="zeros",
            trainable=False,
        )
        shape = (self.num_parts, self.codebook_size, self.dim // self.num_parts)
        self.codebooks = self.add_weight(name="codebooks", shape=shape, initializer="zeros")
        super().build(input_shape)

    @classmethod
    def of(
        cls,
        vectors: np.ndarray,
        weights: np.ndarray,
        num_parts: int,
        codebook_size: int = 256,
        encoder: tf_keras.layers.Layer | None = None,
        seed: int = 0,
    ) -> ProductToken:
        """Codes and codebooks for known vectors, by k-means of each part.

        Args:
            vectors: float32 [num_items, dim].
            weights: [num_items], positive; a heavy item is kept more exactly.
            num_parts, encoder: see the class.
            codebook_size: at most so many rows; a smaller catalogue has one for each item.
            seed: fixes the start of k-means.
        """
        num_items, dim = vectors.shape
        token = cls(num_items, num_parts, min(codebook_size, num_items), dim, encoder)
        token.build(None)
        parts = [
            weighted_kmeans(part, weights.astype(np.float32), token.codebook_size, _ITERATIONS, seed)
            for part in np.split(np.ascontiguousarray(vectors, np.float32), num_parts, axis=1)
        ]
        token.codebooks.assign(np.stack([centres for centres, _ in parts]))
        codes = np.stack([nearest for _, nearest in parts], axis=1)
        token.codes.assign(np.pad(codes, ((1, 0), (0, 0))).astype(token.codes.dtype.as_numpy_dtype))
        return token

    def call(self, items: tf.Tensor, weights: tf.Tensor, training: bool = False) -> tf.Tensor:
        codes = tf.cast(tf.gather(self.codes, items), tf.int32)
        rows = codes + self.codebook_size * tf.range(self.num_parts)
        table = tf.reshape(self.codebooks, (-1, self.dim // self.num_parts))
        return tf.reshape(tf.gather(table, rows), (-1, self.dim))

    def of_content(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Of an item that is known by content alone, float32 [n, embedding_dim]: float32 [n, dim]."""
        count = tf.shape(embeddings)[0]
        if self.encoder is None:
            return tf.zeros((count, self.dim))
        vectors = self.encoder(embeddings, tf.ones((count,)))
        return tf.pad(vectors, ((0, 0), (0, self.dim - self.encoder.dim)))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_items": self.num_items,
            "num_parts": self.num_parts,
            "codebook_size": self.codebook_size,
            "dim": self.dim,
            "encoder": self.encoder and tf_keras.saving.serialize_keras_object(self.encoder),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ProductToken:
        encoder = config["encoder"] and tf_keras.saving.deserialize_keras_object(config["encoder"])
        return cls(**config | {"encoder": encoder})
