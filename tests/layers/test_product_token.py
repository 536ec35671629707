"""Product codes of item vectors, and trained models that keep their items so."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from models.sequence_worlds import CONTENT, COUNTS, NUM_ITEMS, backbone, summed_tower, unified_tower
from sklearn.cluster import KMeans

import semid_tf as sid

VECTORS = np.random.default_rng(3).normal(size=(300, 4)).astype(np.float32)
ONES = np.ones(300)


def vectors_of(token: sid.ProductToken) -> np.ndarray:
    items = tf.range(1, token.num_items + 1)
    return token(items, tf.ones(token.num_items)).numpy()


def test_a_codebook_row_for_each_item_keeps_the_vectors() -> None:
    token = sid.ProductToken.of(VECTORS[:50], ONES[:50], num_parts=2, codebook_size=256)
    assert token.codebook_size == 50
    np.testing.assert_allclose(vectors_of(token), VECTORS[:50], atol=1e-5)


def test_parts_are_the_rows_that_the_codes_name() -> None:
    token = sid.ProductToken.of(VECTORS, ONES, num_parts=2, codebook_size=8)
    codes, books = token.codes.numpy(), token.codebooks.numpy()
    assert codes.dtype == np.uint8
    by_hand = [np.concatenate([books[0, a], books[1, b]]) for a, b in codes[1:]]
    np.testing.assert_array_equal(vectors_of(token), by_hand)
    nearest = ((VECTORS[:, None, :2] - books[0]) ** 2).sum(-1).argmin(1)
    np.testing.assert_array_equal(codes[1:, 0], nearest)


def test_it_is_as_exact_as_scikit_learns_kmeans() -> None:
    vectors = np.random.default_rng(4).normal(size=(3000, 4)).astype(np.float32)
    token = sid.ProductToken.of(vectors, np.ones(3000), num_parts=2, codebook_size=64)
    peers = [KMeans(64, n_init=1, random_state=1).fit(part).inertia_ for part in np.split(vectors, 2, 1)]
    assert np.square(vectors_of(token) - vectors).sum() < 1.03 * sum(peers)


def test_a_heavy_item_is_kept_more_exactly() -> None:
    heavy = np.where(np.arange(300) == 7, 1e6, 1.0)
    errors = [
        np.square(vectors_of(sid.ProductToken.of(VECTORS, weights, 1, 8))[7] - VECTORS[7]).sum()
        for weights in (ONES, heavy)
    ]
    assert errors[1] < 1e-4 < errors[0]


def test_more_rows_than_a_byte_tells_apart_take_wider_codes() -> None:
    token = sid.ProductToken.of(VECTORS, ONES, num_parts=4, codebook_size=280)
    assert token.codes.dtype == tf.int32 and token.codes.numpy().max() > 255


def test_parts_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(sid.ConfigError, match="num_parts must divide dim, 4, got 3"):
        sid.ProductToken(9, 3, 16, 4)


@pytest.mark.parametrize("tower", [summed_tower, unified_tower])
def test_compact_items_rank_as_the_given_ones_do(tower) -> None:  # type: ignore[no-untyped-def]
    full = sid.SequentialModel(tower(), backbone(), sid.FullSoftmax(np.arange(1, NUM_ITEMS + 1)))
    compact = sid.compact_items(full, COUNTS, num_parts=3)
    histories = tf.constant([[0, 3, 9], [5, 1, 7]])
    for model in (full, compact):
        assert model.vectors(tf.zeros(1, tf.int32)).numpy().any() == False  # noqa: E712 - padding
    np.testing.assert_allclose(compact(histories), full(histories), atol=1e-4)
    new = tf.constant(CONTENT[:2] + 0.1)
    np.testing.assert_allclose(compact.of_content(new), full.of_content(new), atol=1e-5)
    kept = {weight.name: weight.shape for weight in compact.tower.weights}
    assert not any("table" in name or name.startswith("content") for name in kept)


def test_a_new_item_of_a_compact_model_borrows_no_id() -> None:
    tower = unified_tower()
    tower.neighbours = 3
    full = sid.SequentialModel(tower, backbone(), sid.FullSoftmax(np.arange(1, NUM_ITEMS + 1)))
    new = tf.constant(CONTENT[:2] + 0.1)
    expected = full.of_content(new).numpy()
    assert expected[:, 4:].all()
    expected[:, 4:] = 0
    np.testing.assert_allclose(sid.compact_items(full, COUNTS, 3).of_content(new), expected, atol=1e-5)


def test_without_content_first_a_new_item_is_zero() -> None:
    ids = sid.ItemTower([sid.IdToken(NUM_ITEMS, 6, seed=1)])
    full = sid.SequentialModel(ids, backbone(), sid.FullSoftmax(np.arange(1, NUM_ITEMS + 1)))
    compact = sid.compact_items(full, COUNTS, num_parts=2)
    np.testing.assert_array_equal(compact.of_content(tf.constant(CONTENT[:2])), np.zeros((2, 6)))
