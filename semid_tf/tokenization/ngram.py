"""N-grams and prefix n-grams of codes, by direct index or hashed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.config import CodeSpace
from semid_tf.errors import ConfigError
from semid_tf.tokenization.base import Tokenizer
from semid_tf.tokenization.hashing import Array, hash_group

_MOST_ROWS = 2**31 - 1


class GroupTokenizer(Tokenizer):
    """One piece for each of some groups of levels.

    Args:
        code_space: the range of the codes.
        num_rows: rows of the hashed table, the padding row included; None = a row for every group of
            codes, by direct index.

    Raises:
        ConfigError: fewer than 2 rows; the direct table would have more than 2^31 - 1 rows.
    """

    def __init__(self, code_space: CodeSpace, num_rows: int | None = None) -> None:
        super().__init__()
        if num_rows is not None and num_rows < 2:
            raise ConfigError(f"num_rows must be at least 2, padding and one more, got {num_rows}.")
        self.code_space, self._hashed_rows = code_space, num_rows
        groups = self.groups()
        self.num_pieces = len(groups)
        sizes = [math.prod(code_space.codebook_sizes[i] for i in group) for group in groups]
        self._starts = [1 + sum(sizes[:i]) for i in range(len(sizes))]
        self.num_rows = num_rows or 1 + sum(sizes)
        if self.num_rows > _MOST_ROWS:
            raise ConfigError(
                f"a direct table would need {self.num_rows} rows; give num_rows to hash into fewer."
            )

    def groups(self) -> list[range]:
        """The levels of each piece."""
        raise NotImplementedError

    def _encode(self, codes: np.ndarray) -> np.ndarray:
        return np.stack(self._pieces(list(codes.astype(np.int64).T)), axis=-1).astype(np.int32)

    def encode_in_graph(self, codes: tf.Tensor) -> tf.Tensor:
        levels = tf.unstack(tf.cast(codes, tf.int64), num=self.code_space.num_levels, axis=-1)
        pieces = tf.cast(tf.stack(self._pieces(levels), axis=-1), tf.int32)
        return tf.where(self._valid(codes), pieces, 0)

    def _pieces(self, levels: Sequence[Array]) -> list[Array]:
        return [self._piece(levels, group, place) for place, group in enumerate(self.groups())]

    def _piece(self, levels: Sequence[Array], group: range, place: int) -> Array:
        if self._hashed_rows:
            return hash_group([levels[i] for i in group], place, self.num_rows)
        index = levels[group[0]]
        for level in group[1:]:
            index = index * self.code_space.codebook_sizes[level] + levels[level]
        return index + self._starts[place]

    def get_config(self) -> dict[str, Any]:
        return {"code_space": dataclasses.asdict(self.code_space), "num_rows": self._hashed_rows}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Tokenizer:
        return cls(**config | {"code_space": CodeSpace(**config["code_space"])})


@tf_keras.saving.register_keras_serializable("semid_tf")
class NgramTokenizer(GroupTokenizer):
    """Non-overlapping groups of n codes (Singh et al. 2024, sec. 3.2.1); n = 1 is the unigram.

    >>> NgramTokenizer(CodeSpace(4, 256), n=2).encode(np.array([[0, 0, 0, 1]]))
    array([[    1, 65538]], dtype=int32)

    Args:
        code_space: the range of the codes.
        n: codes in a group; the last group is shorter where n does not divide the levels.
        num_rows: None = direct index, else rows to hash into, the padding row included.
    """

    def __init__(self, code_space: CodeSpace, n: int = 1, num_rows: int | None = None) -> None:
        if not 1 <= n <= code_space.num_levels:
            raise ConfigError(f"n must lie between 1 and the {code_space.num_levels} levels, got {n}.")
        self.n = n
        super().__init__(code_space, num_rows)

    def groups(self) -> list[range]:
        levels = self.code_space.num_levels
        return [range(first, min(first + self.n, levels)) for first in range(0, levels, self.n)]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"n": self.n}


@tf_keras.saving.register_keras_serializable("semid_tf")
class PrefixTokenizer(GroupTokenizer):
    """The prefixes (c1), (c1, c2), ... in one table (prefix n-gram, arXiv 2504.02137).

    >>> PrefixTokenizer(CodeSpace(2, 4)).encode(np.array([[0, 0], [3, 3]]))
    array([[ 1,  5],
           [ 4, 20]], dtype=int32)
    """

    def groups(self) -> list[range]:
        return [range(length) for length in range(1, self.code_space.num_levels + 1)]
