"""The semantic token in two stages: Semantic IDs of a frozen quantizer, whose pieces are learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.layers.content_start import content_start
from semid_tf.layers.pieces import PieceEmbedding
from semid_tf.quantizer import RQVAE, ResidualKMeans
from semid_tf.tokenization import Tokenizer


@tf_keras.saving.register_keras_serializable("semid_tf")
class SemanticToken(tf_keras.layers.Layer):
    """Sums of the pieces of Semantic IDs: item indices, int32 [n], to float32 [n, dim].

    The codes of the items are computed once, see `set_content`; a new item's in graph.

    Args:
        num_items: of the catalogue.
        quantizer: gives the codes; it is not trained on.
        tokenizer: codes to pieces.
        dim: of the token.
        seed: fixes the start.
    """

    def __init__(
        self,
        num_items: int,
        quantizer: RQVAE | ResidualKMeans,
        tokenizer: Tokenizer,
        dim: int,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_items, self.quantizer, self.tokenizer = num_items, quantizer, tokenizer
        self.dim, self.seed = dim, seed
        self.quantizer.trainable = False
        self.pieces = PieceEmbedding(tokenizer.num_rows, dim, seed, name="pieces")

    def build(self, input_shape: Any) -> None:
        self.pieces.build((None, self.tokenizer.num_pieces))
        self.piece_ids = self.add_weight(
            name="piece_ids",
            shape=(self.num_items + 1, self.tokenizer.num_pieces),
            dtype=tf.int32,
            initializer="zeros",
            trainable=False,
        )
        super().build(input_shape)

    @classmethod
    def of(
        cls,
        embeddings: np.ndarray,
        quantizer: RQVAE | ResidualKMeans,
        tokenizer: Tokenizer,
        dim: int,
        seed: int,
    ) -> SemanticToken:
        """A token over known content, float [num_items, embedding_dim], its pieces started from it."""
        token = cls(len(embeddings), quantizer, tokenizer, dim, seed)
        token.build(None)
        token.set_content(embeddings)
        start = content_start(token.piece_ids.numpy()[1:], embeddings, tokenizer.num_rows, dim)
        token.pieces.table.assign(start)
        return token

    def set_content(self, embeddings: np.ndarray) -> None:
        """Sets the pieces of all items from their content, float [num_items, embedding_dim]."""
        codes = self.quantizer.encode(tf.constant(embeddings, tf.float32))
        pieces = self.tokenizer.encode(np.asarray(codes))
        self.piece_ids.assign(np.pad(pieces, ((1, 0), (0, 0))))

    def call(self, items: tf.Tensor, weights: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.pieces(tf.gather(self.piece_ids, items))

    def of_content(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Of an item that is known by content alone, float32 [n, embedding_dim]: float32 [n, dim]."""
        return self.pieces(self.tokenizer.encode_in_graph(self.quantizer.encode(embeddings)))

    def get_config(self) -> dict[str, Any]:
        parts = {"quantizer": self.quantizer, "tokenizer": self.tokenizer}
        saved = {name: tf_keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        return (
            super().get_config()
            | saved
            | {
                "num_items": self.num_items,
                "dim": self.dim,
                "seed": self.seed,
            }
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SemanticToken:
        saved = {name: config[name] for name in ("quantizer", "tokenizer")}
        made = {name: tf_keras.saving.deserialize_keras_object(part) for name, part in saved.items()}
        return cls(**config | made)
