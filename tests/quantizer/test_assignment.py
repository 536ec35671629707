"""Cosine, hybrid and normalized levels against NumPy, and what the RQ-VAE makes of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import semid_tf as sid
from semid_tf.quantizer.fit import start_rqvae

LEVELS, SIZE, DIM = 3, 7, 5


def unit(vectors: np.ndarray) -> np.ndarray:
    """Brought to length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def by_hand(
    latent: np.ndarray, books: np.ndarray, kinds: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes [n, L], inputs [L, n, dim] and codewords [L, n, dim], as Lin et al. and GRID have them."""
    codes, inputs, words, left = [], [], [], latent.astype(np.float64)
    for book, kind in zip(books.astype(np.float64), kinds, strict=True):
        if kind == "normalized":
            left = unit(left)
        if kind == "cosine":
            book = unit(book)
            code = (unit(left) @ book.T).argmax(axis=1)
        else:
            code = np.square(left[:, None] - book).sum(axis=2).argmin(axis=1)
        codes.append(code)
        inputs.append(unit(left) if kind == "cosine" else left)
        words.append(book[code])
        left = left - words[-1]
    return np.stack(codes, axis=1), np.stack(inputs), np.stack(words)


KINDS = {
    "euclidean": ["euclidean"] * 3,
    "cosine": ["cosine"] * 3,
    "hybrid": ["cosine", "cosine", "euclidean"],
    "normalized": ["normalized"] * 3,
}


@pytest.fixture(scope="module")
def books() -> np.ndarray:
    """Codewords of many lengths."""
    return np.random.default_rng(0).normal(size=(LEVELS, SIZE, DIM)).astype(np.float32) * 2


@pytest.fixture(scope="module")
def latent() -> np.ndarray:
    """Vectors of many lengths."""
    random = np.random.default_rng(1)
    return (random.normal(size=(200, DIM)) * random.uniform(0.2, 4, (200, 1))).astype(np.float32)


@pytest.mark.parametrize("name", KINDS)
def test_each_level_chooses_and_leaves_what_it_should(
    books: np.ndarray, latent: np.ndarray, name: str
) -> None:
    layer = sid.ResidualQuantizer(LEVELS, SIZE, name)
    layer.build((None, DIM))
    layer.codebooks.assign(books)
    codes, inputs, words = by_hand(latent, books, KINDS[name])
    found = layer(latent)
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(layer.encode(latent), codes)
    np.testing.assert_allclose(found.inputs, inputs, atol=1e-5)
    np.testing.assert_allclose(found.codewords, words, atol=1e-5)
    np.testing.assert_allclose(layer.decode(found.codes), words.sum(axis=0), atol=1e-5)


def test_codes_of_a_cosine_level_do_not_depend_on_lengths(books: np.ndarray, latent: np.ndarray) -> None:
    layer = sid.ResidualQuantizer(1, SIZE, "cosine")
    layer.build((None, DIM))
    layer.codebooks.assign(books[:1])
    expected = layer.encode(latent)
    layer.codebooks.assign(books[:1] * np.linspace(0.1, 9, SIZE)[None, :, None])
    np.testing.assert_array_equal(layer.encode(latent * 7), expected)


CONFIG = sid.RQVAEConfig(
    num_levels=3,
    codebook_size=SIZE,
    latent_dim=4,
    hidden_dim=6,
    commitment_weight=0.3,
    epochs=2,
    batch_size=128,
)


@pytest.mark.parametrize("assignment", ["cosine", "hybrid"])
def test_loss_commits_the_normalised_input_on_cosine_levels(assignment: str) -> None:
    random = np.random.default_rng(2)
    model = sid.RQVAE(DIM, dataclasses.replace(CONFIG, assignment=assignment))
    model.quantizer.codebooks.assign(random.normal(size=(3, SIZE, 4)))
    embeddings = random.normal(size=(60, DIM)).astype(np.float32)
    latent = model.encoder(embeddings).numpy()
    codes, inputs, words = by_hand(latent, model.quantizer.codebooks.numpy(), KINDS[assignment])
    restored = model.decoder(words.sum(axis=0).astype(np.float32)).numpy()
    expected = np.square(embeddings - restored).sum(axis=1)
    expected += 1.3 * np.square(inputs - words).sum(axis=2).sum(axis=0)
    losses, quantized = model.losses_of(embeddings)
    np.testing.assert_array_equal(quantized.codes, codes)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


@pytest.mark.parametrize("gradient", ["straight_through", "rotation"])
@pytest.mark.parametrize("assignment", ["euclidean", "cosine", "hybrid"])
@pytest.mark.parametrize("level", range(3))
def test_every_levels_commitment_reaches_the_encoder(assignment: str, gradient: str, level: int) -> None:
    model = sid.RQVAE(DIM, dataclasses.replace(CONFIG, assignment=assignment, gradient=gradient))
    embeddings = np.random.default_rng(3).normal(size=(60, DIM)).astype(np.float32)
    with tf.GradientTape() as tape:
        quantized = model.quantizer(model.latent(embeddings))
        gap = quantized.inputs[level] - tf.stop_gradient(quantized.codewords[level])
        loss = tf.reduce_sum(tf.square(gap))
    assert np.abs(tape.gradient(loss, model.encoder.linear.kernel)).max() > 1e-3


@pytest.mark.parametrize("assignment", ["cosine", "hybrid"])
def test_a_fit_starts_near_and_improves(assignment: str) -> None:
    items = sid.synthetic_items(1_000, dim=8, seed=1).embeddings
    shape = {"latent_dim": 8, "codebook_size": 16}
    config = dataclasses.replace(CONFIG, assignment=assignment, **shape, epochs=20, learning_rate=1e-3)
    start = start_rqvae(items, np.ones(len(items), np.float32), config)
    latent = start.latent(items).numpy()
    assert np.square(latent).sum(axis=1).mean() == pytest.approx(2**2, rel=1e-4)
    model = sid.fit_rqvae(items, config=config)
    before, after = (sid.normalized_mse(items, made(items).numpy()) for made in (start, model))
    assert before < 0.7
    assert after < before
    lengths = np.linalg.norm(model.quantizer.codebook(0), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)
