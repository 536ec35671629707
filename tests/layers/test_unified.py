"""IDs beside Semantic IDs: sums by hand, what an unseen item must not have, dropout by its law."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import semid_tf as sid

PIECES = np.array([[1, 2], [3, 0], [1, 4]])
ROWS, SEEN = np.array([1, 2, 3]), np.array([30, 10, 0])
FEATURES = tf.constant(sid.unified_features(PIECES, ROWS, SEEN))


def layer(**settings: object) -> sid.UnifiedEmbedding:
    """Both tables full of different numbers."""
    random = np.random.default_rng(0)
    made = sid.UnifiedEmbedding(sid.PieceEmbedding(5, 3), sid.PieceEmbedding(4, 3), **settings)
    made.build(FEATURES.shape)
    for table in made.trainable_weights:
        table.assign(random.normal(size=table.shape))
    return made


def parts(made: sid.UnifiedEmbedding) -> tuple[np.ndarray, np.ndarray]:
    """Sums of pieces, and rows of ids, by NumPy."""
    semantic, own = made.semantic.table.numpy(), made.own.table.numpy()
    return (semantic[PIECES] * (PIECES > 0)[..., None]).sum(axis=1), own[ROWS]


@pytest.mark.parametrize(("half_seen", "weights"), [(0, [1, 1, 0]), (10, [0.75, 0.5, 0])])
def test_an_own_part_adds_what_its_count_allows(half_seen: float, weights: list[float]) -> None:
    semantic, own = parts(made := layer(half_seen=half_seen))
    gated = np.array(weights)[:, None] * own
    np.testing.assert_allclose(made(FEATURES), semantic + gated, atol=1e-6)
    beside = layer(half_seen=half_seen, combine="concatenated")
    np.testing.assert_allclose(beside(FEATURES), np.concatenate([semantic, gated], axis=1), atol=1e-6)


def test_several_own_rows_of_one_table() -> None:
    made = sid.UnifiedEmbedding(sid.PieceEmbedding(5, 3), num_own=2, combine="concatenated")
    features = tf.constant(sid.unified_features(PIECES[:, :1], np.array([[2, 4], [0, 4], [2, 2]]), SEEN))
    found, table = made(features).numpy(), made.semantic.table.numpy()
    np.testing.assert_allclose(found[:, :3], table[PIECES[:, 0]], atol=1e-6)
    np.testing.assert_allclose(found[:, 3:], [table[2] + table[4], table[4], [0, 0, 0]], atol=1e-6)
    assert len(made.trainable_weights) == 1


def test_an_unseen_item_is_exactly_its_semantic_id_and_trains_no_row() -> None:
    made = layer()
    with tf.GradientTape() as tape:
        vectors = made(FEATURES[2:])
    np.testing.assert_array_equal(vectors, made.semantic(PIECES[2:]))
    assert not tf.convert_to_tensor(tape.gradient(vectors, made.own.table)).numpy().any()


def test_pieces_alone_are_those_of_an_unseen_item() -> None:
    made = layer()
    made(FEATURES)
    np.testing.assert_array_equal(made.of_pieces(tf.constant(PIECES)), made.semantic(PIECES))
    np.testing.assert_array_equal(made.semantic.of_pieces(PIECES), made.semantic(PIECES))


def test_own_parts_are_left_out_at_random_while_training_only() -> None:
    made = layer(own_dropout=0.3)
    semantic, own = parts(made)
    many = tf.repeat(FEATURES[:1], 4000, axis=0)
    found = made(many, training=True).numpy()
    with_own = np.isclose(found, semantic[0] + own[0]).all(axis=1)
    assert np.isclose(found[~with_own], semantic[0]).all()
    assert with_own.mean() == pytest.approx(0.7, abs=0.04)
    np.testing.assert_allclose(made(many), np.broadcast_to(semantic[0] + own[0], (4000, 3)), atol=1e-6)


def test_a_catalogue_hands_training_on() -> None:
    catalogue = sid.CatalogueEmbedding.of(FEATURES.numpy(), layer(own_dropout=1.0))
    semantic, own = parts(catalogue.embedding)
    np.testing.assert_allclose(catalogue(tf.constant([1]), training=True), semantic[:1], atol=1e-6)
    np.testing.assert_allclose(catalogue(tf.constant([1])), semantic[:1] + own[:1], atol=1e-6)


def test_a_table_has_a_penalty_and_a_dropout_of_its_own() -> None:
    table = sid.PieceEmbedding(4, 2, l2=0.1, dropout=0.25)
    table.build((None, 2))
    table.table.assign([[9, 9], [1, 2], [3, 0], [9, 9]])
    pieces = tf.constant([[1, 2], [1, 0]])
    table(pieces)
    assert table.losses == []
    table(pieces, training=True)
    assert [float(loss) for loss in table.losses] == [pytest.approx(0.1 * (5 + 9 + 5) / 3)]
    found = table(tf.fill((4000, 1), 1), training=True).numpy()
    assert (found == 0).all(axis=1).mean() == pytest.approx(0.25, abs=0.03)
    assert np.unique(found, axis=0).tolist() == [[0, 0], [1, 2]]


def test_the_penalty_reaches_the_loss_of_a_ranker() -> None:
    def loss(l2: float) -> float:
        table = sid.PieceEmbedding(5, 4, l2=l2)
        catalogue = sid.CatalogueEmbedding.of(PIECES.astype(np.int32), table)
        table.table.assign(np.ones((5, 4)))
        ranker = sid.Ranker(sid.RankerConfig(dim=4, hidden_dims=(3,), dropout=0.0), catalogue)
        ranker.compile("sgd")
        ones = tf.ones((1, 2))
        inputs = {"history": tf.constant([[1, 2]]), "candidates": tf.constant([[3, 1]])}
        return float(ranker.train_step((inputs, ones, ones))["total_loss"])

    assert loss(0.5) - loss(0.0) == pytest.approx(0.5 * 4, rel=1e-5)


def test_a_start_at_zero() -> None:
    table = sid.PieceEmbedding(4, 2, spread=0.0)
    assert not table(tf.constant([[1, 2, 3]])).numpy().any()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: layer(combine="sum"), sid.ConfigError, "combine must be one of .*, got 'sum'"),
        (lambda: layer(own_dropout=1.5), sid.ConfigError, "own_dropout between 0 and 1, got .*1.5"),
        (lambda: sid.PieceEmbedding(3, 2, dropout=-1), sid.ConfigError, "dropout must lie .*, got -1"),
        (lambda: sid.unified_features(PIECES, ROWS, SEEN[:2]), sid.DataError, "3 of own rows and 2 counts"),
        (
            lambda: sid.unified_features(PIECES, ROWS, SEEN - 1),
            sid.DataError,
            r"counts\[2\] is -1; .*",
        ),
    ],
)
def test_mistakes_are_told(make: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()
