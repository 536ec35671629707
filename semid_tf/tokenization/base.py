"""The one interface of all adaptations: codes in, table rows out."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from semid_tf.config import CodeSpace
from semid_tf.ids.semantic_id import require_codes

PADDING_CODE = -1


class Tokenizer(tf.Module):
    """Turns the codes of an item into piece ids, rows of an embedding table (Singh et al. 2024, sec. 3.2).

    A `tf.Module`, so that what it needs in graph is saved with every model that holds it.

    Attributes:
        code_space: the range of the codes.
        num_pieces: piece ids of each item; where it has fewer, the others are 0.
        num_rows: rows of the table, the padding row 0 included; piece ids lie in [0, num_rows).
    """

    code_space: CodeSpace
    num_pieces: int
    num_rows: int

    def encode(self, codes: np.ndarray) -> np.ndarray:
        """Piece ids of codes, int [..., num_levels]: int32 [..., num_pieces], 0 = padding.

        Raises:
            CodesError: a code is no integer, or out of range.
        """
        require_codes(codes, self.code_space)
        rows = codes.astype(np.int64).reshape(-1, self.code_space.num_levels)
        return self._encode(rows).reshape(*codes.shape[:-1], self.num_pieces)

    def _encode(self, codes: np.ndarray) -> np.ndarray:
        """`encode` for codes known to be in range, int64 [n, num_levels]."""
        raise NotImplementedError

    def encode_in_graph(self, codes: tf.Tensor) -> tf.Tensor:
        """The same piece ids by TensorFlow ops: int32 or int64 [n, num_levels] -> int32 [n, num_pieces].

        A row that holds a code out of range, such as the padding code -1, gets piece ids 0.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Plain values from which `from_config` makes an equal tokenizer."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Tokenizer:
        """Makes the tokenizer that `get_config` described."""
        return cls(**config)

    def valid(self, codes: tf.Tensor) -> tf.Tensor:
        """Whether all codes of an item are in range, int [..., num_levels]: bool [..., 1]."""
        inside = (codes >= 0) & (codes < self.code_space.codebook_sizes)
        return tf.reduce_all(inside, axis=-1, keepdims=True)
