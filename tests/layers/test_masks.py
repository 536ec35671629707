"""Masks tell padding to the Keras layers behind; ragged histories are padded ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid

SPACE = sid.CodeSpace(2, 4)
CODES = np.array([[0, 1], [2, 3], [1, 1]], np.int32)
PIECES = sid.NgramTokenizer(SPACE).encode(CODES)
PADDED = np.array([PIECES[0], [0, 0], PIECES[2]], np.int32)


class Case(NamedTuple):
    """Layers one behind the other, and three items, of which the second is padding."""

    make: Callable[[], list[tf_keras.layers.Layer]]
    items: Any


def codes(padding: int) -> np.ndarray:
    return np.array([CODES[0], [padding, padding], CODES[2]], np.int32)


def tokenizer() -> sid.Tokenizer:
    return sid.NgramTokenizer(SPACE)


def unified() -> sid.UnifiedEmbedding:
    return sid.UnifiedEmbedding(sid.PieceEmbedding(9, 4), sid.PieceEmbedding(5, 4, seed=1), half_seen=1.0)


CASES = {
    "pieces": Case(lambda: [sid.PieceEmbedding(9, 4)], PADDED),
    "codes": Case(lambda: [sid.SemanticEmbedding(tokenizer(), 4)], codes(-1)),
    "codes out of range": Case(lambda: [sid.SemanticEmbedding(tokenizer(), 4)], codes(9)),
    "looked up": Case(lambda: [sid.SentencePieceLookup(tokenizer()), sid.PieceEmbedding(9, 4)], codes(-1)),
    "catalogue": Case(
        lambda: [sid.CatalogueEmbedding.of(PIECES, sid.PieceEmbedding(9, 4))], np.array([1, 0, 3], np.int32)
    ),
    "ids": Case(lambda: [sid.HashedEmbedding(9, 4)], np.array(["a", "", "b"])),
    "unified": Case(lambda: [unified()], np.column_stack([PADDED, [3, 0, 4], [7, 0, 0]]).astype(np.int32)),
    "content": Case(
        lambda: [tf_keras.layers.Masking(), sid.DenseContentEmbedding(4)],
        np.array([[1, 2], [0, 0], [3, 1]], np.float32),
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    """Each layer in turn."""
    return CASES[request.param]


def model_of(layers: list[tf_keras.layers.Layer], items: tf.Tensor, ragged: bool) -> tf_keras.Model:
    """Users' items -> their vectors and the means of these."""
    inputs = vectors = tf_keras.Input((None, *items.shape[1:]), dtype=items.dtype, ragged=ragged)
    for layer in layers:
        vectors = layer(vectors)
    return tf_keras.Model(inputs, [vectors, tf_keras.layers.GlobalAveragePooling1D()(vectors)])


def test_a_mean_behind_a_layer_leaves_padding_out(case: Case) -> None:
    items = tf.constant(case.items)
    vectors, mean = model_of(case.make(), items, ragged=False)(items[None])
    assert not vectors[0, 1].numpy().any()
    assert vectors[0, 0].numpy().any()
    np.testing.assert_allclose(mean[0], (vectors[0, 0] + vectors[0, 2]) / 2, rtol=1e-5)


def test_ragged_items_have_the_vectors_of_padded_ones(case: Case) -> None:
    layers, items = case.make(), tf.constant(case.items)
    padded = model_of(layers, items, ragged=False)(items[None])[0][0]
    ragged = tf.RaggedTensor.from_row_lengths(tf.gather(items, [2, 0, 1, 2]), [1, 3])
    vectors, means = model_of(layers, items, ragged=True)(ragged)
    assert vectors.row_lengths().numpy().tolist() == [1, 3]
    np.testing.assert_allclose(vectors.flat_values, tf.gather(padded, [2, 0, 1, 2]), atol=1e-6)
    np.testing.assert_allclose(means, [padded[2], (padded[0] + padded[2]) / 2], atol=1e-6)


def test_items_of_unequally_many_pieces_are_refused() -> None:
    with pytest.raises(sid.DataError, match="the last axis, the features of an item, is ragged"):
        sid.PieceEmbedding(9, 4)(tf.ragged.constant([[1], [2, 3]]))


def test_a_ragged_history_scores_as_the_padded_one() -> None:
    ranker = sid.Ranker(
        sid.RankerConfig(dim=4, hidden_dims=(4,)), sid.CatalogueEmbedding.of(PIECES, sid.PieceEmbedding(9, 4))
    )
    candidates = tf.constant([[1, 2], [3, 1]])
    padded = ranker({"history": tf.constant([[0, 1], [2, 3]]), "candidates": candidates})
    ragged = ranker({"history": tf.ragged.constant([[1], [2, 3]], dtype=tf.int32), "candidates": candidates})
    np.testing.assert_allclose(ragged, padded, atol=1e-6)
