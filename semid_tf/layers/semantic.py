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
    (padding), or out of range, give a vector of zeros. Where the items are known, `CatalogueEmbedding` over
    `pieces` saves the look-up of pieces.

    Args:
        tokenizer: the adaptation.
        dim: of the vectors.
        seed: fixes the start.
        l2, dropout: of the table, see `PieceEmbedding`.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        dim: int,
        seed: int = 0,
        l2: float = 0.0,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tokenizer, self.dim, self.seed, self.l2, self.dropout = tokenizer, dim, seed, l2, dropout
        self.lookup = SentencePieceLookup(tokenizer, name="lookup")
        self.pieces = PieceEmbedding(tokenizer.num_rows, dim, seed, l2=l2, dropout=dropout, name="pieces")
        self.pieces.build((None, tokenizer.num_pieces))

    @property
    def padding(self) -> list[int]:
        """The codes that stand where there is no item."""
        return [-1] * self.tokenizer.code_space.num_levels

    def call(self, codes: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return self.pieces(self.lookup(codes), training=training)

    def compute_mask(self, codes: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Which codes are an item's, neither padding nor out of range: bool [...]."""
        return self.lookup.compute_mask(codes)

    def get_config(self) -> dict[str, Any]:
        tokenizer = tf_keras.saving.serialize_keras_object(self.tokenizer)
        names = ("dim", "seed", "l2", "dropout")
        return super().get_config() | {"tokenizer": tokenizer} | {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SemanticEmbedding:
        return cls(**config | {"tokenizer": tf_keras.saving.deserialize_keras_object(config["tokenizer"])})
