"""Codes and their text form."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import semid_tf as sid

SPACE = sid.CodeSpace(2, 8)


@st.composite
def spaces_and_codes(draw: st.DrawFn) -> tuple[sid.CodeSpace, np.ndarray]:
    """A code space and codes in it."""
    space = sid.CodeSpace(draw(st.integers(1, 8)), draw(st.integers(1, 2048)))
    shape = (draw(st.integers(0, 9)), space.num_levels)
    return space, draw(hnp.arrays(np.int32, shape, elements=st.integers(0, space.codebook_size - 1)))


@given(spaces_and_codes())
def test_text_and_back(drawn: tuple[sid.CodeSpace, np.ndarray]) -> None:
    space, codes = drawn
    texts = sid.format_semantic_ids(codes)
    assert texts == [sid.format_semantic_id(row) for row in codes]
    parsed = sid.parse_semantic_ids(texts, space)
    assert parsed.dtype == np.int32
    np.testing.assert_array_equal(parsed, codes)


@given(spaces_and_codes())
def test_different_codes_have_different_texts(drawn: tuple[sid.CodeSpace, np.ndarray]) -> None:
    codes = drawn[1]
    assert len(set(sid.format_semantic_ids(codes))) == len({tuple(row) for row in codes.tolist()})


def test_by_hand() -> None:
    assert sid.format_semantic_id([12, 7, 255, 0]) == "12-7-255-0"
    assert sid.format_semantic_ids(np.array([[7], [0]])) == ["7", "0"]
    assert sid.parse_semantic_ids(["7-0", "1-2"], SPACE).tolist() == [[7, 0], [1, 2]]


@pytest.mark.parametrize(
    "text", ["", "1", "1-2-3", "1-", "-1-2", "1--2", "a-b", "1-2 ", "+1-2", "1.0-2", "1-²", "1-٣", "1_0-2"]
)
def test_what_is_no_semantic_id(text: str) -> None:
    message = f"row 1: {text!r} is no Semantic ID; 2 numbers joined by '-' would be."
    with pytest.raises(sid.CodesError, match=f"^{re.escape(message)}$"):
        sid.parse_semantic_ids(["0-0", text], SPACE)


@pytest.mark.parametrize("code", [8, 2**31, 2**32 + 1, 2**63, 10**30])
def test_a_number_out_of_range(code: int) -> None:
    message = f"codes[1, 1] is {code}; level 1 has codes 0 to 7."
    with pytest.raises(sid.CodesError, match=f"^{re.escape(message)}$"):
        sid.parse_semantic_ids(["0-0", f"1-{code}"], SPACE)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.array([[0, 7], [3, 8]]), "codes[1, 1] is 8; level 1 has codes 0 to 7."),
        (np.array([[0, -1]]), "codes[0, 1] is -1; level 1 has codes 0 to 7."),
        (np.array([[[0, 1], [2, 9]]]), "codes[0, 1, 1] is 9; level 1 has codes 0 to 7."),
        (np.array([8, 0]), "codes[0] is 8; level 0 has codes 0 to 7."),
        (np.array([[0, 1, 2]]), "codes have shape [1, 3]; the last dimension must be 2, the levels."),
        (np.array(3), "codes have shape []; the last dimension must be 2, the levels."),
        (np.array([[np.nan, 1.0]]), "codes are float64; integers are needed."),
        (np.array([[True, False]]), "codes are bool; integers are needed."),
        (np.array([[0.7, 1]], object), "codes are object; integers are needed."),
    ],
)
def test_codes_are_checked(codes: np.ndarray, message: str) -> None:
    with pytest.raises(sid.CodesError, match=f"^{re.escape(message)}$"):
        sid.require_codes(codes, SPACE)


@given(spaces_and_codes())
def test_codes_in_range_are_accepted(drawn: tuple[sid.CodeSpace, np.ndarray]) -> None:
    sid.require_codes(drawn[1], drawn[0])
