"""Item vectors against plain sums of rows, and the laws of padding and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import semid_tf as sid

SPACE = sid.CodeSpace(3, 8)
CODES = np.random.default_rng(0).integers(0, 8, (40, 3), np.int32)


def built(num_rows: int = 12, dim: int = 4) -> sid.PieceEmbedding:
    """A table whose row 0 is not zero, as training may leave it."""
    layer = sid.PieceEmbedding(num_rows, dim)
    layer.build((None, 1))
    layer.table.assign(np.random.default_rng(1).normal(size=(num_rows, dim)))
    return layer


def summed(table: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    """The sum of the rows of pieces other than 0."""
    return (table[pieces] * (pieces > 0)[..., None]).sum(axis=-2)


@given(
    hnp.arrays(np.int32, hnp.array_shapes(min_dims=1, max_dims=4, max_side=4), elements=st.integers(0, 11))
)
def test_an_item_is_the_sum_of_its_pieces(pieces: np.ndarray) -> None:
    layer = built()
    vectors = layer(pieces)
    assert vectors.shape == (*pieces.shape[:-1], 4)
    np.testing.assert_allclose(vectors, summed(layer.table.numpy(), pieces), atol=1e-5)


def test_the_row_of_padding_is_never_trained() -> None:
    layer = built()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(np.array([[0, 0, 3], [3, 5, 0]])) * [[1.0], [10.0]])
    gradient = tf.convert_to_tensor(tape.gradient(loss, layer.table)).numpy()
    assert gradient[:, 0].tolist() == [0, 0, 0, 11, 0, 10, 0, 0, 0, 0, 0, 0]


FEATURES = {
    "pieces": lambda: (sid.PrefixTokenizer(SPACE, 20).encode(CODES), built(20)),
    "codes": lambda: (CODES, sid.SemanticEmbedding(sid.NgramTokenizer(SPACE), 4)),
    "content": lambda: (
        np.random.default_rng(2).normal(size=(40, 6)).astype(np.float32),
        sid.DenseContentEmbedding(4, (5,)),
    ),
}


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("index", [[[1, 40, 7], [7, 7, 0]], [3], [[0], [0]], [[]]], ids=str)
def test_a_catalogue_gives_the_vectors_and_gradients_of_its_features(kind: str, index: list) -> None:
    features, embedding = FEATURES[kind]()
    catalogue = sid.CatalogueEmbedding.of(features, embedding)
    rows = np.array(index, np.int32)
    factors = tf.constant(np.random.default_rng(3).normal(size=(*rows.shape, 4)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        found = catalogue(tf.constant(rows))
        by_features = embedding(tf.constant(features[np.maximum(rows, 1) - 1])) * (rows > 0)[..., None]
        loss, expected_loss = tf.reduce_sum(found * factors), tf.reduce_sum(by_features * factors)
    np.testing.assert_allclose(found, by_features, atol=1e-6)
    assert not found.numpy()[rows == 0].any()
    for weight in embedding.trainable_weights:
        gradient, expected = (tf.convert_to_tensor(tape.gradient(of, weight)) for of in (loss, expected_loss))
        np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_the_features_of_a_catalogue_are_not_trained() -> None:
    catalogue = sid.CatalogueEmbedding.of(*FEATURES["content"]())
    assert id(catalogue.features) not in {id(weight) for weight in catalogue.trainable_weights}
    assert len(catalogue.trainable_weights) == 4
    assert catalogue.num_items == 40


def test_dense_content_is_a_two_layer_perceptron() -> None:
    layer = sid.DenseContentEmbedding(4, (5,))
    inputs = np.random.default_rng(0).normal(size=(2, 3, 6)).astype(np.float32)
    vectors = layer(inputs)
    kernel, bias, projection, last = layer.get_weights()
    expected = np.maximum(inputs @ kernel + bias, 0) @ projection + last
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


@given(st.lists(st.text(max_size=5), min_size=1, max_size=20))
def test_one_item_id_has_one_row_and_the_empty_one_none(names: list[str]) -> None:
    layer = sid.HashedEmbedding(50, 4)
    rows = layer.piece_ids(tf.constant(names)).numpy()[:, 0]
    assert ((rows == 0) == [name == "" for name in names]).all()
    assert rows.max() < 50
    again = layer.piece_ids(tf.constant(names[::-1])).numpy()[::-1, 0]
    np.testing.assert_array_equal(rows, again)
    np.testing.assert_array_equal(
        layer(tf.constant(names)), layer.pieces.table.numpy()[rows] * (rows > 0)[:, None]
    )


def test_item_ids_are_spread_over_all_rows() -> None:
    rows = sid.HashedEmbedding(51, 2).piece_ids(tf.constant([f"item {i}" for i in range(5_000)])).numpy()
    counts = np.bincount(rows.ravel(), minlength=51)
    assert counts[0] == 0
    assert np.square(counts[1:] - 100).sum() / 100 / 49 < 1.6


TOKENIZERS = {
    "unigram": lambda: sid.NgramTokenizer(SPACE),
    "prefix": lambda: sid.PrefixTokenizer(SPACE, 30),
    "sentencepiece": lambda: sid.train_sentencepiece(CODES, np.arange(40), SPACE, 40),
}


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("shape", [(40,), (8, 5), (2, 4, 5), (1,), (0,)])
def test_codes_of_any_shape_become_the_sum_of_their_pieces(name: str, shape: tuple[int, ...]) -> None:
    tokenizer = TOKENIZERS[name]()
    layer = sid.SemanticEmbedding(tokenizer, 4)
    codes = CODES[: int(np.prod(shape))]
    expected = summed(layer.pieces.table.numpy(), tokenizer.encode(codes)).reshape(*shape, 4)
    vectors = layer(tf.constant(codes.reshape(*shape, 3)))
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    # The same with sizes that the graph does not know.
    in_graph = tf.function(layer, input_signature=[tf.TensorSpec([None] * len(shape) + [3], tf.int32)])
    np.testing.assert_allclose(in_graph(tf.constant(codes.reshape(*shape, 3))), expected, atol=1e-6)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_padding_codes_are_zeros(name: str) -> None:
    layer = sid.SemanticEmbedding(TOKENIZERS[name](), 4)
    vectors = layer(tf.constant([[[1, 2, 3], [-1, -1, -1]]])).numpy()
    assert vectors[0, 0].any()
    assert not vectors[0, 1].any()


WITH_TABLES = {
    "ids": (lambda **kw: sid.HashedEmbedding(50, 4, **kw), tf.constant(["a", "b", ""])),
    "codes": (lambda **kw: sid.SemanticEmbedding(sid.NgramTokenizer(SPACE), 4, **kw), tf.constant(CODES[:2])),
}


@pytest.mark.parametrize("kind", WITH_TABLES)
def test_penalty_and_dropout_are_those_of_the_table_inside(kind: str) -> None:
    make, items = WITH_TABLES[kind]
    layer = make(l2=0.5)
    layer(items, training=True)
    pieces = layer.piece_ids(items) if kind == "ids" else layer.lookup(items)
    rows = layer.pieces.table.numpy()[pieces.numpy()[pieces.numpy() > 0]]
    assert float(sum(layer.losses)) == pytest.approx(0.5 * np.square(rows).sum(axis=1).mean(), rel=1e-5)
    dropped = make(dropout=1.0)
    assert not dropped(items, training=True).numpy().any()
    assert dropped(items)[0].numpy().any()


def test_a_ranker_over_codes_ranks_and_learns_as_over_their_pieces() -> None:
    layer, config = sid.SemanticEmbedding(sid.NgramTokenizer(SPACE), 4), sid.RankerConfig(dim=4, dropout=0.0)
    over_codes = sid.Ranker(config, sid.CatalogueEmbedding.of(CODES, layer))
    pieces = sid.CatalogueEmbedding.of(layer.tokenizer.encode(CODES), sid.PieceEmbedding(25, 4))
    over_pieces = sid.Ranker(config, pieces)
    inputs = {"history": tf.constant([[0, 3], [4, 5]]), "candidates": tf.constant([[1, 2], [40, 6]])}
    ones = tf.ones((2, 2))
    for ranker in (over_codes, over_pieces):
        ranker.compile("sgd")
        ranker.train_step((inputs, ones * [1.0, 0.0], ones))
    np.testing.assert_allclose(over_codes(inputs), over_pieces(inputs), atol=1e-6)
    np.testing.assert_allclose(layer.pieces.table, pieces.embedding.table, atol=1e-7)
