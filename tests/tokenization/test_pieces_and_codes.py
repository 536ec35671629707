"""SentencePiece's pieces and the single codes beside them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid
from semid_tf.tokenization import PiecesAndCodes

SPACE = sid.CodeSpace(3, 16)


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def both(request: pytest.FixtureRequest, fitted_codes: np.ndarray) -> PiecesAndCodes:
    """Over a SentencePiece of either kind."""
    counts = np.random.default_rng(0).zipf(1.6, len(fitted_codes)).clip(max=500)
    return PiecesAndCodes(sid.train_sentencepiece(fitted_codes, counts, SPACE, 120, request.param))


def test_an_item_has_its_codes_and_its_coarse_pieces(both: PiecesAndCodes, fitted_codes: np.ndarray) -> None:
    of_sentencepiece, single = both.sentencepiece.encode(fitted_codes), both.sentencepiece.single_codes()
    found = both.encode(fitted_codes)
    assert (found.dtype, found.shape) == (np.int32, (len(fitted_codes), both.num_pieces))
    np.testing.assert_array_equal(found[:, :3], sid.NgramTokenizer(SPACE).encode(fitted_codes))
    coarse = [piece for piece in range(2, both.num_rows) if piece not in single]
    kinds = set()
    for rows, pieces in zip(found[:, 3:], of_sentencepiece, strict=True):
        expected = [coarse.index(piece) + 1 for piece in pieces if piece in coarse]
        assert [row for row in rows if row] == expected
        kinds.add(len(expected))
    assert both.num_coarse_rows == len(coarse) + 1
    assert both.unigram.num_rows + both.num_coarse_rows == both.num_rows
    # An item of single codes only; one with a coarse piece.
    assert {0, 1} <= kinds


def test_graph_and_config_give_the_same(both: PiecesAndCodes, fitted_codes: np.ndarray) -> None:
    expected = both.encode(fitted_codes)
    np.testing.assert_array_equal(tf.function(both.encode_in_graph)(tf.constant(fitted_codes)), expected)
    written = json.loads(json.dumps(tf_keras.saving.serialize_keras_object(both)))
    again = tf_keras.saving.deserialize_keras_object(written)
    np.testing.assert_array_equal(again.encode(fitted_codes), expected)
    assert (again.num_rows, again.num_pieces) == (both.num_rows, both.num_pieces) == (120, 6)


def test_padding_and_codes_out_of_range(both: PiecesAndCodes) -> None:
    codes = np.array([[1, 2, 3], [-1, -1, -1], [1, 2, 16]])
    pieces = both.encode_in_graph(tf.constant(codes, tf.int32)).numpy()
    assert not pieces[1:].any()
    np.testing.assert_array_equal(pieces[:1], both.encode(codes[:1]))
    with pytest.raises(sid.CodesError, match="level 0 has codes 0 to 15"):
        both.encode(codes)
