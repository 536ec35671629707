"""One private-use character for each (level, code), so that codes are text for SentencePiece."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from semid_tf.config import CodeSpace
from semid_tf.errors import ConfigError, ProvenanceError

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


def require_pieces(pieces: Sequence[str], code_space: CodeSpace) -> None:
    """Checks that texts are pieces over a code space: its single codes, and codes of levels in a row.

    Spaces of equally many codes have the same alphabet, so that only longer pieces tell them apart.

    Raises:
        ProvenanceError: they are not.
    """
    lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
    ends = lengths.cumsum()
    places = _places("".join(pieces))
    levels = np.searchsorted(code_space.starts, places, side="right")
    follows = np.diff(levels) == 1
    follows[ends[:-1] - 1] = True
    single = np.sort(places[ends[lengths == 1] - 1])
    inside = (places >= 0) & (places < code_space.num_codes)
    if not (inside.all() and follows.all() and np.array_equal(single, np.arange(code_space.num_codes))):
        raise ProvenanceError(
            f"the SentencePiece model has other pieces than those of {code_space}; "
            "give the code space that it was trained on."
        )


def _places(text: str) -> np.ndarray:
    """Where each character stands in the alphabet of a large code space: int64 [length of the text]."""
    offsets = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.int64) - FIRST
    return offsets - 2 * (offsets // (_PLANE + 2))
