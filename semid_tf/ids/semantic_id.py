"""Codes and their text form: `[12, 7, 255]` <-> `"12-7-255"`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semid_tf.config import CodeSpace
from semid_tf.errors import CodesError

SEPARATOR = "-"


def format_semantic_id(codes: Sequence[int] | np.ndarray) -> str:
    """The text form of one item's codes, coarsest first.

    >>> format_semantic_id([12, 7, 255])
    '12-7-255'
    """
    return SEPARATOR.join(str(int(code)) for code in codes)


def format_semantic_ids(codes: np.ndarray) -> list[str]:
    """The text forms of `codes`, int [n, num_levels].

    >>> format_semantic_ids(np.array([[1, 2], [3, 4]]))
    ['1-2', '3-4']
    """
    return [SEPARATOR.join(map(str, row)) for row in np.asarray(codes).tolist()]


def parse_semantic_ids(texts: Sequence[str], code_space: CodeSpace) -> np.ndarray:
    """The codes behind text forms: int32 [n, num_levels].

    >>> parse_semantic_ids(["1-2", "3-4"], CodeSpace(2, 8))
    array([[1, 2],
           [3, 4]], dtype=int32)

    Raises:
        CodesError: a text is no Semantic ID of this code space.
    """
    codes = [_parse(text, row, code_space.num_levels) for row, text in enumerate(texts)]
    # Objects, since a text may hold a number beyond int64.
    table = np.array(codes, dtype=object).reshape(len(codes), code_space.num_levels)
    require_codes(table, code_space)
    return table.astype(np.int32)


def _parse(text: str, row: int, num_levels: int) -> list[int]:
    parts = text.split(SEPARATOR)
    if len(parts) != num_levels or not all(part.isascii() and part.isdigit() for part in parts):
        raise CodesError(
            f"row {row}: {text!r} is no Semantic ID; {num_levels} numbers joined by '-' would be."
        )
    return [int(part) for part in parts]


def require_codes(codes: np.ndarray, code_space: CodeSpace) -> None:
    """Checks type, shape and range of `codes`, int [..., num_levels].

    Raises:
        CodesError: they are no integers; names the first code out of range, its place and the range.
    """
    if codes.ndim < 1 or codes.shape[-1] != code_space.num_levels:
        raise CodesError(
            f"codes have shape {list(codes.shape)}; the last dimension must be "
            f"{code_space.num_levels}, the levels."
        )
    if codes.dtype.kind not in "iu" and not all(isinstance(code, int | np.integer) for code in codes.flat):
        raise CodesError(f"codes are {codes.dtype}; integers are needed.")  # a NaN would pass any range
    wrong = (codes < 0) | (codes >= np.array(code_space.codebook_sizes))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise CodesError(
            f"codes{list(place)} is {codes[place]}; level {place[-1]} has codes 0 to "
            f"{code_space.codebook_sizes[place[-1]] - 1}."
        )
