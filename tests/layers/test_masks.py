"""Masks tell padding to the Keras layers behind; ragged histories are padded ones."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid

SPACE = sid.CodeSpace(2, 4)
CODES = np.array([[0, 1], [2, 3], [1, 1]], np.int32)
PIECES = sid.NgramTokenizer(SPACE).encode(CODES)
INPUTS = {
    "pieces": (lambda: sid.PieceEmbedding(9, 4), np.stack([PIECES[0], [0, 0], PIECES[2]])[None]),
    "codes": (
        lambda: sid.SemanticEmbedding(sid.NgramTokenizer(SPACE), 4),
        np.array([[[0, 1], [-1, -1], [1, 1]]]),
    ),
    "catalogue": (lambda: sid.CatalogueEmbedding.of(PIECES, sid.PieceEmbedding(9, 4)), np.array([[1, 0, 3]])),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_a_mean_behind_a_layer_leaves_padding_out(kind: str) -> None:
    make, inputs = INPUTS[kind]
    layer = make()
    model = tf_keras.Sequential([layer, tf_keras.layers.GlobalAveragePooling1D()])
    vectors = layer(tf.constant(inputs, tf.int32)).numpy()[0]
    assert not vectors[1].any()
    np.testing.assert_allclose(
        model(tf.constant(inputs, tf.int32))[0], vectors[[0, 2]].mean(axis=0), rtol=1e-5
    )


def test_a_ragged_history_scores_as_the_padded_one() -> None:
    ranker = sid.Ranker(
        sid.RankerConfig(dim=4, hidden_dims=(4,)), sid.CatalogueEmbedding.of(PIECES, sid.PieceEmbedding(9, 4))
    )
    candidates = tf.constant([[1, 2], [3, 1]])
    padded = ranker({"history": tf.constant([[0, 1], [2, 3]]), "candidates": candidates})
    ragged = ranker({"history": tf.ragged.constant([[1], [2, 3]], dtype=tf.int32), "candidates": candidates})
    np.testing.assert_allclose(ragged, padded, atol=1e-6)
