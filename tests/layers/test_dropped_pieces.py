"""Pieces left out in training."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras

import semid_tf as sid


def _layer(dropout: float) -> sid.PieceEmbedding:
    """Row i of the table is the i-th unit vector, so that a sum shows which pieces it holds."""
    layer = sid.PieceEmbedding(5, 5, dropout=dropout)
    layer.build((None, 3))
    layer.table.assign(np.eye(5, dtype=np.float32))
    return layer


def test_a_piece_is_left_out_or_weighs_more() -> None:
    tf_keras.utils.set_random_seed(0)
    sums = _layer(0.25)(tf.tile([[1, 3, 0]], (4000, 1)), training=True).numpy()
    assert set(np.unique(sums[:, [1, 3]].round(4))) == {0.0, np.float32(1.3333)}
    assert not sums[:, [0, 2, 4]].any()
    # Four standard errors of a mean of 4,000 draws of variance 1/3.
    np.testing.assert_allclose(sums[:, [1, 3]].mean(axis=0), 1.0, atol=4 * np.sqrt(1 / 3 / 4000))
    together = np.corrcoef(sums[:, 1], sums[:, 3])[0, 1]
    assert abs(together) < 0.08, "pieces are left out one by one"


def test_nothing_is_left_out_when_scoring() -> None:
    pieces = tf.constant([[1, 3, 0], [2, 2, 4]])
    np.testing.assert_array_equal(_layer(0.9)(pieces), _layer(0.0)(pieces))


def test_an_item_of_one_piece_keeps_it() -> None:
    pieces = tf.ones((100, 1), tf.int32)
    np.testing.assert_array_equal(_layer(0.9)(pieces, training=True), _layer(0.0)(pieces))


def test_a_catalogue_drops_while_it_trains_only() -> None:
    catalogue = sid.CatalogueEmbedding.of(np.full((50, 3), 2, np.int32), _layer(0.5))
    index = tf.range(1, 51)
    plain = catalogue(index).numpy()
    assert (plain[:, 2] == 3).all()
    assert (catalogue(index, training=True).numpy() != plain).any()
