"""Each code of each level has a character of its own that SentencePiece leaves alone."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
import tensorflow as tf

import semid_tf as sid
from semid_tf.tokenization.alphabet import alphabet, code_texts, code_texts_in_graph, require_alphabet

SPACES = [sid.CodeSpace(4, 256), sid.CodeSpace(8, 2048), sid.CodeSpace(2, 65_534), sid.CodeSpace(1, 131_068)]
SPACES += [sid.CodeSpace(3, (256, 128, 64)), sid.CodeSpace(2, (65_533, 2_000))]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_all_characters_differ_and_are_for_private_use(space: sid.CodeSpace) -> None:
    characters = alphabet(space)
    assert len(set(characters)) == len(characters) == space.num_codes
    assert {unicodedata.category(character) for character in characters} == {"Co"}


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_texts_are_spelled_with_the_alphabet(space: sid.CodeSpace) -> None:
    codes = np.random.default_rng(0).integers(0, space.codebook_size, (50, space.num_levels), np.int32)
    codes[0], codes[1] = 0, np.array(space.codebook_sizes) - 1
    characters = alphabet(space)
    expected = [
        "".join(characters[sum(space.codebook_sizes[:lv]) + c] for lv, c in enumerate(row)) for row in codes
    ]
    assert code_texts(codes, space).tolist() == expected
    in_graph = code_texts_in_graph(tf.constant(codes), space).numpy()
    assert [text.decode() for text in in_graph] == expected


def test_more_codes_than_characters_are_refused() -> None:
    require_alphabet(sid.CodeSpace(2, 65_534))
    message = "2 levels of 65535 codes need 131070 characters; SentencePiece over codes has 131068"
    with pytest.raises(sid.ConfigError, match=message):
        require_alphabet(sid.CodeSpace(2, 65_535))
