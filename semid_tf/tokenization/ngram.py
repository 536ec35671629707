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
        apart: whether each group hashes into an equal part of the rows of its own, instead of all into all.

    Raises:
        ConfigError: too few rows; the direct table would have more than 2^31 - 1 rows.
    """

    def __init__(self, code_space: CodeSpace, num_rows: int | None = None, apart: bool = False) -> None:
        super().__init__()
        self.code_space, self._hashed_rows, self._apart = code_space, num_rows, apart
        groups = self.groups()
        least = 1 + (len(groups) if apart else 1)
        if num_rows is not None and num_rows < least:
            raise ConfigError(
                f"num_rows must be at least {least}, padding and {least - 1} more, got {num_rows}."
            )
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
        return np.stack(self._pieces(list(codes.T)), axis=-1).astype(np.int32)

    def encode_in_graph(self, codes: tf.Tensor) -> tf.Tensor:
        levels = tf.unstack(tf.cast(codes, tf.int64), num=self.code_space.num_levels, axis=-1)
        pieces = tf.cast(tf.stack(self._pieces(levels), axis=-1), tf.int32)
        return tf.where(self.valid(codes), pieces, 0)

    def _pieces(self, levels: Sequence[Array]) -> list[Array]:
        return [self._piece(levels, group, place) for place, group in enumerate(self.groups())]

    def _piece(self, levels: Sequence[Array], group: range, place: int) -> Array:
        if self._hashed_rows:
            part = (self.num_rows - 1) // (self.num_pieces if self._apart else 1)
            row = hash_group([levels[i] for i in group], place, part + 1)
            return row + (place * part if self._apart else 0)
        index = levels[group[0]]
        for level in group[1:]:
            index = index * self.code_space.codebook_sizes[level] + levels[level]
        return index + self._starts[place]

    def get_config(self) -> dict[str, Any]:
        space = dataclasses.asdict(self.code_space)
        return {"code_space": space, "num_rows": self._hashed_rows, "apart": self._apart}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Tokenizer:
        return cls(**config | {"code_space": CodeSpace(**config["code_space"])})


@tf_keras.saving.register_keras_serializable("semid_tf")
class NgramTokenizer(GroupTokenizer):
    """Groups of n codes (Singh et al. 2024, sec. 3.2.1), by default next to each other; n = 1 is the unigram.

    >>> NgramTokenizer(CodeSpace(4, 256), n=2).encode(np.array([[0, 0, 0, 1]]))
    array([[    1, 65538]], dtype=int32)

    Args:
        code_space: the range of the codes.
        n: codes in a group; the last group is shorter where n does not divide the levels.
        num_rows: None = direct index, else rows to hash into, the padding row included.
        apart: see `GroupTokenizer`.
        overlapping: whether a group begins at each level that has n - 1 behind it, as in (c1, c2), (c2, c3).
    """

    def __init__(
        self,
        code_space: CodeSpace,
        n: int = 1,
        num_rows: int | None = None,
        apart: bool = False,
        overlapping: bool = False,
    ) -> None:
        if not 1 <= n <= code_space.num_levels:
            raise ConfigError(f"n must lie between 1 and the {code_space.num_levels} levels, got {n}.")
        self.n, self.overlapping = n, overlapping
        super().__init__(code_space, num_rows, apart)

    def groups(self) -> list[range]:
        levels = self.code_space.num_levels
        if self.overlapping:
            return [range(first, first + self.n) for first in range(levels - self.n + 1)]
        return [range(first, min(first + self.n, levels)) for first in range(0, levels, self.n)]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"n": self.n, "overlapping": self.overlapping}


@tf_keras.saving.register_keras_serializable("semid_tf")
class PrefixTokenizer(GroupTokenizer):
    """The prefixes (c1), (c1, c2), ... in one table (prefix n-gram, arXiv 2504.02137).

    >>> PrefixTokenizer(CodeSpace(2, 4)).encode(np.array([[0, 0], [3, 3]]))
    array([[ 1,  5],
           [ 4, 20]], dtype=int32)
    """

    def groups(self) -> list[range]:
        return [range(length) for length in range(1, self.code_space.num_levels + 1)]
