"""Every public tokenizer gives the same pieces in Python, in graph, from its config and from a SavedModel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from examples_of_parts import ALL_CODES, SPACE, TOKENIZERS, public

import semid_tf as sid


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest) -> sid.Tokenizer:
    """Each tokenizer in turn, by direct index and hashed."""
    return TOKENIZERS[request.param]()


def test_every_public_tokenizer_has_an_example() -> None:
    assert {name.split()[0] for name in TOKENIZERS} == {part.__name__ for part in public(sid.Tokenizer)}


def test_pieces_are_rows_of_the_table(tokenizer: sid.Tokenizer) -> None:
    pieces = tokenizer.encode(ALL_CODES)
    assert (pieces.dtype, pieces.shape) == (np.int32, (64, tokenizer.num_pieces))
    assert pieces.min() >= 0
    assert pieces.max() < tokenizer.num_rows
    assert (pieces > 0).any(axis=1).all(), "an item without a piece"


def test_config_round_trip(tokenizer: sid.Tokenizer) -> None:
    config = json.loads(json.dumps(tokenizer.get_config()))
    again = type(tokenizer).from_config(config)
    np.testing.assert_array_equal(again.encode(ALL_CODES), tokenizer.encode(ALL_CODES))
    sizes = ("num_rows", "num_pieces", "code_space")
    assert [getattr(again, name) for name in sizes] == [getattr(tokenizer, name) for name in sizes]
    assert again.get_config() == tokenizer.get_config()


def test_keras_makes_it_from_its_registered_name(tokenizer: sid.Tokenizer) -> None:
    written = json.loads(json.dumps(tf_keras.saving.serialize_keras_object(tokenizer)))
    again = tf_keras.saving.deserialize_keras_object(written)
    assert type(again) is type(tokenizer)
    np.testing.assert_array_equal(again.encode(ALL_CODES), tokenizer.encode(ALL_CODES))


def test_graph_equals_python(tokenizer: sid.Tokenizer) -> None:
    expected = tokenizer.encode(ALL_CODES)
    np.testing.assert_array_equal(tokenizer.encode_in_graph(tf.constant(ALL_CODES)), expected)
    np.testing.assert_array_equal(tf.function(tokenizer.encode_in_graph)(tf.constant(ALL_CODES)), expected)


def test_items_in_any_shape_have_the_pieces_of_their_codes(tokenizer: sid.Tokenizer) -> None:
    pieces = tokenizer.encode(ALL_CODES)
    nested = tokenizer.encode(ALL_CODES.reshape(4, 2, 8, 3))
    np.testing.assert_array_equal(nested, pieces.reshape(4, 2, 8, -1))
    np.testing.assert_array_equal(tokenizer.encode(ALL_CODES[5]), pieces[5])


def test_the_type_of_integers_says_nothing(tokenizer: sid.Tokenizer) -> None:
    pieces = tokenizer.encode(ALL_CODES)
    for kind in (np.uint8, np.int64, np.uint64, object):
        np.testing.assert_array_equal(tokenizer.encode(ALL_CODES.astype(kind)), pieces)
    # tf.Example has int64 alone.
    np.testing.assert_array_equal(tokenizer.encode_in_graph(tf.constant(ALL_CODES, tf.int64)), pieces)


def test_saved_model_equals_python(tokenizer: sid.Tokenizer, tmp_path: Path) -> None:
    module = tf.Module()
    module.tokenizer = tokenizer
    module.encode = tf.function(
        tokenizer.encode_in_graph, input_signature=[tf.TensorSpec((None, SPACE.num_levels), tf.int32)]
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    for rows in (ALL_CODES, ALL_CODES[:1], ALL_CODES[:0]):
        np.testing.assert_array_equal(loaded.encode(tf.constant(rows)), tokenizer.encode(rows))


def test_a_row_with_a_code_out_of_range_has_no_pieces_in_graph(tokenizer: sid.Tokenizer) -> None:
    codes = np.array([[1, 2, 3], [-1, -1, -1], [1, -1, 3], [1, 2, 4], [3, 2, 1]], np.int32)
    pieces = tokenizer.encode_in_graph(tf.constant(codes)).numpy()
    assert not pieces[1:4].any()
    np.testing.assert_array_equal(pieces[[0, 4]], tokenizer.encode(codes[[0, 4]]))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[0, 0, 0], [0, 1, 4]], r"codes\[1, 2\] is 4; level 2 has codes 0 to 3\."),
        ([[0, -1, 0]], r"codes\[0, 1\] is -1; level 1 has codes 0 to 3\."),
        ([[np.nan, 1.0, 0.0]], r"codes are float64; integers are needed\."),
        ([[0, 0]], r"codes have shape \[1, 2\]; the last dimension must be 3, the levels\."),
    ],
)
def test_codes_out_of_range_are_refused(tokenizer: sid.Tokenizer, codes: list, message: str) -> None:
    with pytest.raises(sid.CodesError, match=message):
        tokenizer.encode(np.array(codes))
