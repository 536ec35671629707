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
    semantic, ids = made.semantic.table.numpy(), made.ids.table.numpy()
    return (semantic[PIECES] * (PIECES > 0)[..., None]).sum(axis=1), ids[ROWS]


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ({"combine": "summed"}, [1, 1, 0]),
        ({"combine": "gated", "half_seen": 10}, [0.75, 0.5, 0]),
        ({"combine": "gated", "half_seen": 0}, [1, 1, 0]),
    ],
)
def test_an_id_adds_what_its_count_allows(settings: dict, weights: list[float]) -> None:
    made = layer(**settings)
    semantic, ids = parts(made)
    np.testing.assert_allclose(made(FEATURES), semantic + np.array(weights)[:, None] * ids, atol=1e-6)


def test_concatenated_ids_stand_behind_the_semantic_id() -> None:
    made = layer(combine="concatenated")
    semantic, ids = parts(made)
    ids[2] = 0
    np.testing.assert_allclose(made(FEATURES), np.concatenate([semantic, ids], axis=1), atol=1e-6)


@pytest.mark.parametrize("combine", ["summed", "gated"])
def test_an_unseen_item_is_exactly_its_semantic_id_and_trains_no_row(combine: str) -> None:
    made = layer(combine=combine)
    with tf.GradientTape() as tape:
        vectors = made(FEATURES[2:])
    np.testing.assert_array_equal(vectors, made.semantic(PIECES[2:]))
    assert not tf.convert_to_tensor(tape.gradient(vectors, made.ids.table)).numpy().any()


def test_ids_are_left_out_at_random_while_training_only() -> None:
    made = layer(combine="summed", id_dropout=0.3)
    semantic, ids = parts(made)
    many = tf.repeat(FEATURES[:1], 4000, axis=0)
    found = made(many, training=True).numpy()
    with_id = np.isclose(found, semantic[0] + ids[0]).all(axis=1)
    assert np.isclose(found[~with_id], semantic[0]).all()
    assert with_id.mean() == pytest.approx(0.7, abs=0.04)
    np.testing.assert_allclose(made(many), np.broadcast_to(semantic[0] + ids[0], (4000, 3)), atol=1e-6)


def test_a_catalogue_hands_training_on() -> None:
    catalogue = sid.CatalogueEmbedding.of(FEATURES.numpy(), layer(combine="summed", id_dropout=1.0))
    semantic, ids = parts(catalogue.embedding)
    np.testing.assert_allclose(catalogue(tf.constant([1]), training=True), semantic[:1], atol=1e-6)
    np.testing.assert_allclose(catalogue(tf.constant([1])), semantic[:1] + ids[:1], atol=1e-6)


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
        (lambda: layer(id_dropout=1.5), sid.ConfigError, "id_dropout between 0 and 1, got .*1.5"),
        (lambda: sid.PieceEmbedding(3, 2, dropout=-1), sid.ConfigError, "dropout must lie .*, got -1"),
        (lambda: sid.unified_features(PIECES, ROWS, SEEN[:2]), sid.DataError, "3 rows of pieces, 3 of ids"),
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
