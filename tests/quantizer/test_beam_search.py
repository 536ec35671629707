"""Beam search against all paths and against greedy search; candidates against all distances."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from reference import residual_quantization as reference

import semid_tf as sid
from semid_tf.quantizer.distances import highest, highest_of_groups, several_highest

SIZES, DIM = (8, 5, 6), 4
SCALES = (1.0, 0.8, 0.6)


@pytest.fixture(scope="module")
def quantizer() -> sid.ResidualQuantizer:
    """Levels that overlap, so that the nearest codeword at first is often not the best in the end."""
    random = np.random.default_rng(0)
    layer = sid.ResidualQuantizer(3, SIZES)
    layer.build((None, DIM))
    books = np.zeros((3, 8, DIM))
    for level, (size, scale) in enumerate(zip(SIZES, SCALES, strict=True)):
        books[level, :size] = random.normal(size=(size, DIM)) * scale
    layer.codebooks.assign(books)
    return layer


@pytest.fixture(scope="module")
def latent() -> np.ndarray:
    """Three hundred vectors."""
    return np.random.default_rng(1).normal(size=(300, DIM)).astype(np.float32) * 1.5


def errors(layer: sid.ResidualQuantizer, latent: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Squared error of each item, in float64."""
    books = [layer.codebook(level).numpy() for level in range(3)]
    return np.square(latent.astype(np.float64) - reference.decode(np.asarray(codes), books)).sum(axis=1)


def test_a_beam_of_one_is_greedy_search(quantizer: sid.ResidualQuantizer, latent: np.ndarray) -> None:
    books = [quantizer.codebook(level).numpy() for level in range(3)]
    _, greedy = reference.residuals_and_codes(latent, books)
    np.testing.assert_array_equal(quantizer.encode(latent, beam_width=1), greedy)


@pytest.mark.parametrize("beam_width", [2, 3, 5, 16])
def test_items_are_better_than_by_greedy_search(
    quantizer: sid.ResidualQuantizer, latent: np.ndarray, beam_width: int
) -> None:
    greedy = errors(quantizer, latent, quantizer.encode(latent).numpy())
    beam = errors(quantizer, latent, quantizer.encode(latent, beam_width).numpy())
    assert np.mean(beam <= greedy * (1 + 1e-5)) > 0.95
    assert beam.mean() < 0.9 * greedy.mean()


def test_a_beam_that_keeps_every_path_finds_the_best_one(
    quantizer: sid.ResidualQuantizer, latent: np.ndarray
) -> None:
    every = np.array(list(itertools.product(*map(range, SIZES))))
    of_every = np.stack([errors(quantizer, latent, np.tile(path, (len(latent), 1))) for path in every])
    best, second = np.sort(of_every, axis=0)[:2]
    clear = second - best > 1e-4
    found = quantizer.encode(latent, beam_width=8 * 5).numpy()
    np.testing.assert_array_equal(found[clear], every[of_every.argmin(axis=0)][clear])
    assert clear.mean() > 0.9


def test_the_last_code_is_the_nearest_under_the_earlier_ones(
    quantizer: sid.ResidualQuantizer, latent: np.ndarray
) -> None:
    codes = quantizer.encode(latent, beam_width=4).numpy()
    others = np.stack(
        [errors(quantizer, latent, np.column_stack([codes[:, :2], np.full(300, c)])) for c in range(6)]
    )
    assert (errors(quantizer, latent, codes) <= others.min(axis=0) + 1e-5).all()


@pytest.mark.parametrize("beam_width", [1, 3])
def test_candidates_are_nearest_first(
    quantizer: sid.ResidualQuantizer, latent: np.ndarray, beam_width: int
) -> None:
    codes = quantizer.encode(latent, beam_width).numpy()
    found = quantizer.candidates(latent, 6, beam_width)
    assert (found.dtype, found.shape) == (tf.int32, (300, 6))
    left = latent - reference.decode(codes[:, :2], [quantizer.codebook(level).numpy() for level in range(2)])
    distances = reference.squared_distances(left, quantizer.codebook(2).numpy())
    ordered = np.take_along_axis(distances, found.numpy(), axis=1)
    assert (np.diff(ordered, axis=1) > -1e-5).all()
    assert (np.sort(found, axis=1) == np.arange(6)).all()
    np.testing.assert_array_equal(found[:, 0], codes[:, 2])
    np.testing.assert_array_equal(quantizer.candidates(latent, 2, beam_width), found[:, :2])


def test_equal_codewords_are_candidates_in_order_of_their_index() -> None:
    layer = sid.ResidualQuantizer(1, 4)
    layer.build((None, 2))
    layer.codebooks.assign([[[1, 0], [0, 0], [1, 0], [0, 0]]])
    assert layer.candidates(tf.constant([[1.0, 0.0]]), 4).numpy().tolist() == [[0, 2, 1, 3]]


@pytest.mark.parametrize("k", [0, 7])
def test_more_candidates_than_codes_are_refused(quantizer: sid.ResidualQuantizer, k: int) -> None:
    with pytest.raises(
        sid.ConfigError, match=f"k must lie between 1 and the 6 codes of the last level, got {k}"
    ):
        quantizer.candidates(tf.zeros((1, DIM)), k)


def test_beams_that_do_not_suit_are_refused(quantizer: sid.ResidualQuantizer) -> None:
    with pytest.raises(sid.ConfigError, match="beam_width must be at least 1, got 0"):
        quantizer.encode(tf.zeros((1, DIM)), beam_width=0)
    for layer in (sid.ResidualQuantizer(2, 4, "normalized"), sid.ResidualQuantizer(2, 4, priced=True)):
        layer.build((None, DIM))
        with pytest.raises(sid.ConfigError, match="beam_width must be 1 with balanced codes and normalized"):
            layer.encode(tf.zeros((1, DIM)), beam_width=2)


def test_the_order_of_a_batch_is_the_order_of_its_codes(
    quantizer: sid.ResidualQuantizer, latent: np.ndarray
) -> None:
    order = np.random.default_rng(2).permutation(len(latent))
    codes = quantizer.encode(latent, beam_width=3).numpy()
    np.testing.assert_array_equal(quantizer.encode(latent[order], beam_width=3), codes[order])


@pytest.mark.parametrize("size", [1, 8, 17, 256, 1024, 2048, 1025])
def test_ties_go_to_the_lowest_index_in_short_rows_and_in_long_ones(size: int) -> None:
    scores = np.random.default_rng(0).integers(0, 40, (200, size)).astype(np.float32)
    np.testing.assert_array_equal(highest(tf.constant(scores)), scores.argmax(axis=1))
    assert highest(tf.constant(scores)).dtype == tf.int32


@pytest.mark.parametrize(("size", "k"), [(1024, 1), (2048, 5), (2048, 40), (1024, 64), (1025, 7)])
def test_the_highest_of_long_rows_are_in_order_with_ties_by_index(size: int, k: int) -> None:
    scores = np.random.default_rng(0).integers(0, 90, (100, size)).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = several_highest(tf.constant(scores), k)
    np.testing.assert_array_equal(found.places, order)
    np.testing.assert_array_equal(found.scores, np.take_along_axis(scores, order, axis=1))


@pytest.mark.parametrize(
    ("size", "width", "k"), [(1024, 1, 3), (2048, 4, 8), (1024, 3, 96), (1030, 3, 5), (8, 2, 16)]
)
def test_the_highest_of_groups_are_those_of_all_their_sums(size: int, width: int, k: int) -> None:
    random = np.random.default_rng(0)
    scores = random.integers(0, 90, (50 * width, size)).astype(np.float32)
    offsets = random.integers(0, 30, (50, width)).astype(np.float32)
    sums = (scores.reshape(50, width, size) + offsets[:, :, None]).reshape(50, -1)
    order = np.argsort(-sums, axis=1, kind="stable")[:, :k]
    found = highest_of_groups(tf.constant(scores), tf.constant(offsets), k)
    np.testing.assert_array_equal(found.places, order)
    np.testing.assert_array_equal(found.scores, np.take_along_axis(sums, order, axis=1))


def test_a_beam_over_long_codebooks_is_that_over_their_sums() -> None:
    """Every path of two levels of 1,024 codes, by NumPy, against a beam that keeps 32."""
    random = np.random.default_rng(0)
    books = random.normal(size=(2, 1024, DIM)).astype(np.float32)
    layer = sid.ResidualQuantizer(2, 1024)
    layer.build((None, DIM))
    layer.codebooks.assign(books)
    latent = random.normal(size=(40, DIM)).astype(np.float32)
    first = np.argsort(reference.squared_distances(latent, books[0]), axis=1)[:, :32]
    best = np.full(40, np.inf)
    for column in first.T:
        best = np.minimum(best, reference.squared_distances(latent - books[0][column], books[1]).min(axis=1))
    left = latent - layer.decode(layer.encode(latent, beam_width=32)).numpy()
    np.testing.assert_allclose(np.square(left).sum(axis=1), best, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "width"),
    [
        (sid.RQVAEConfig(num_levels=4, codebook_size=4), 1),
        (sid.RQVAEConfig(num_levels=5, codebook_size=4), 3),
        (sid.RQVAEConfig(num_levels=5, codebook_size=4, beam_width=1), 1),
        (sid.RQVAEConfig(num_levels=3, codebook_size=4, beam_width=2), 2),
        (sid.ResidualKMeansConfig(num_levels=5, codebook_size=4), 3),
        (sid.ResidualKMeansConfig(num_levels=5, codebook_size=4, balanced=True), 1),
        (sid.ResidualKMeansConfig(num_levels=5, codebook_size=4, assignment="normalized"), 1),
    ],
)
def test_the_width_of_the_search_is_the_setting_or_that_for_the_levels(
    config: sid.RQVAEConfig | sid.ResidualKMeansConfig, width: int
) -> None:
    kind = sid.RQVAE if isinstance(config, sid.RQVAEConfig) else sid.ResidualKMeans
    model = kind(DIM, config)
    model.quantizer.codebooks.assign_add(tf.random.stateless_normal(model.quantizer.codebooks.shape, (0, 1)))
    rows = tf.random.stateless_normal((200, DIM), (0, 2))
    assert model.beam_width == width
    np.testing.assert_array_equal(model.encode(rows), model.encode(rows, width))
    np.testing.assert_array_equal(model.candidates(rows, 1)[:, 0], model.encode(rows)[:, -1])
    if width > 1:
        assert (model.encode(rows) != model.encode(rows, 1)).numpy().any()


@pytest.mark.parametrize("items", [0, 1, 300, 2500])
@pytest.mark.parametrize("beam_width", [1, 8])
def test_blocks_of_items_have_the_codes_of_all_at_once(items: int, beam_width: int) -> None:
    """In a graph, of levels with so many codes, two thousand items and more go through in blocks."""
    random = np.random.default_rng(2)
    layer = sid.ResidualQuantizer(2, 2048 // beam_width)
    layer.build((None, DIM))
    layer.codebooks.assign(random.normal(size=layer.codebooks.shape))
    latent = random.normal(size=(items, DIM)).astype(np.float32)
    encode = tf.function(lambda rows: layer.encode(rows, beam_width), autograph=False)
    np.testing.assert_array_equal(encode(latent), layer.encode(latent, beam_width))
