"""Codes to vectors through a tokenizer."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.layers.lookup import SentencePieceLookup
from semid_tf.layers.pieces import PieceEmbedding
from semid_tf.tokenization import Tokenizer


@tf_keras.saving.register_keras_serializable("semid_tf")
class SemanticEmbedding(tf_keras.layers.Layer):
    """Codes, int32 [..., num_levels], to item vectors, float32 [..., dim].

    The pieces are looked up in graph, so that an item never seen before has a vector at once. Codes of -1
    (padding) give a vector of zeros. Where the items are known, `CatalogueEmbedding` over `pieces` saves
    the look-up of pieces.

    Args:
        tokenizer: the adaptation.
        dim: of the vectors.
        seed: fixes the start.
    """

    def __init__(self, tokenizer: Tokenizer, dim: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tokenizer, self.dim, self.seed = tokenizer, dim, seed
        self.lookup = SentencePieceLookup(tokenizer, name="lookup")
        self.pieces = PieceEmbedding(tokenizer.num_rows, dim, seed, name="pieces")
        self.pieces.build((None, tokenizer.num_pieces))

    @property
    def padding(self) -> list[int]:
        """The codes that stand where there is no item."""
        return [-1] * self.tokenizer.code_space.num_levels

    def call(self, codes: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        # Keras hands `training` on to the pieces, because it stands among the arguments here.
        return self.pieces(self.lookup(codes))

    def compute_mask(self, codes: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Which codes are no padding: bool [...]."""
        return tf.reduce_all(codes >= 0, axis=-1)

    def get_config(self) -> dict[str, Any]:
        tokenizer = tf_keras.saving.serialize_keras_object(self.tokenizer)
        return super().get_config() | {"tokenizer": tokenizer, "dim": self.dim, "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SemanticEmbedding:
        return cls(**config | {"tokenizer": tf_keras.saving.deserialize_keras_object(config["tokenizer"])})
