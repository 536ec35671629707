"""One private-use character for each (level, code), so that codes are text for SentencePiece."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from semid_tf.config import CodeSpace
from semid_tf.errors import ConfigError

FIRST = 0xF0000
_PLANE = 0xFFFE  # the last two of a plane's 65,536 code points are no characters
_PLANES = 2


def require_alphabet(code_space: CodeSpace) -> None:
    """Checks that there are characters enough.

    Raises:
        ConfigError: levels times codes exceed the supplementary private-use planes.
    """
    if code_space.num_codes > _PLANE * _PLANES:
        raise ConfigError(
            f"{code_space.num_levels} levels of {code_space.codebook_size} codes need {code_space.num_codes} "
            f"characters; SentencePiece over codes has {_PLANE * _PLANES}."
        )


def code_points(codes: np.ndarray, code_space: CodeSpace) -> np.ndarray:
    """Unicode code points of codes, int [n, num_levels]: uint32 of the same shape."""
    place = codes + np.array(code_space.starts)
    return (FIRST + place + 2 * (place // _PLANE)).astype(np.uint32)


def code_texts(codes: np.ndarray, code_space: CodeSpace) -> np.ndarray:
    """One string of num_levels characters for each row of codes: str [n].

    >>> code_texts(np.array([[0, 1]]), CodeSpace(2, 4))[0] == chr(0xF0000) + chr(0xF0005)
    True
    """
    points = np.ascontiguousarray(code_points(codes, code_space))
    return points.view(f"<U{code_space.num_levels}").ravel()


def code_texts_in_graph(codes: tf.Tensor, code_space: CodeSpace) -> tf.Tensor:
    """`code_texts` by TensorFlow ops: int32 [n, num_levels] -> UTF-8 string [n]."""
    place = codes + tf.constant(code_space.starts)
    return tf.strings.unicode_encode(FIRST + place + 2 * (place // _PLANE), "UTF-8")


def alphabet(code_space: CodeSpace) -> str:
    """All characters of a code space."""
    place = np.arange(code_space.num_codes)
    return "".join(map(chr, FIRST + place + 2 * (place // _PLANE)))
