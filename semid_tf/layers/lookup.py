"""Codes to piece ids inside a model, so that it takes raw codes."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.errors import CodesError
from semid_tf.layers.ragged import of_rows
from semid_tf.tokenization import Tokenizer


@tf_keras.saving.register_keras_serializable("semid_tf")
class SentencePieceLookup(tf_keras.layers.Layer):
    """Codes, int32 [..., num_levels], to piece ids, int32 [..., num_pieces], in graph; 0 = padding.

    A code tuple never seen in training has pieces too. Codes of -1 (padding), or out of range, give zeros.
    Where the items are known, piece ids computed once and a gather are the fast path: `CatalogueEmbedding`.

    Args:
        tokenizer: such as `SentencePieceTokenizer`, by TensorFlow Text; any other works as well.

    Raises:
        CodesError: the codes are of another number of levels.

    >>> from semid_tf import CodeSpace, NgramTokenizer
    >>> lookup = SentencePieceLookup(NgramTokenizer(CodeSpace(2, 4)))
    >>> lookup(tf.constant([[[0, 3], [-1, -1]]])).numpy().tolist()
    [[[1, 8], [0, 0]]]
    """

    def __init__(self, tokenizer: Tokenizer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tokenizer = tokenizer

    def build(self, input_shape: tf.TensorShape) -> None:
        levels = self.tokenizer.code_space.num_levels
        if input_shape[-1] != levels:
            raise CodesError(
                f"codes have {input_shape[-1]} levels, the tokenizer's have {levels}; "
                "give the tokenizer that was made for these codes."
            )
        super().build(input_shape)

    def call(self, codes: tf.Tensor) -> tf.Tensor:
        return of_rows(self._pieces, codes)

    def compute_mask(self, codes: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Which codes are an item's, neither padding nor out of range: bool [...]."""
        return of_rows(lambda rows: self.tokenizer.valid(rows)[..., 0], codes)

    def _pieces(self, codes: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(codes, (-1, self.tokenizer.code_space.num_levels))
        pieces = self.tokenizer.encode_in_graph(flat)
        shape = tf.concat([tf.shape(codes)[:-1], [self.tokenizer.num_pieces]], axis=0)
        return tf.ensure_shape(tf.reshape(pieces, shape), (*codes.shape[:-1], self.tokenizer.num_pieces))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"tokenizer": tf_keras.saving.serialize_keras_object(self.tokenizer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SentencePieceLookup:
        return cls(**config | {"tokenizer": tf_keras.saving.deserialize_keras_object(config["tokenizer"])})
