"""Codebooks as moving averages against plain NumPy, over ten steps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid
from semid_tf.data.embedding_source import WeightedRows
from semid_tf.quantizer.fit import start_rqvae
from semid_tf.quantizer.initialization import Standardization
from semid_tf.quantizer.keep_best import KeepBest

DIM, SIZES, BATCH = 5, (6, 4), 40
CONFIG = sid.RQVAEConfig(
    num_levels=2,
    codebook_size=SIZES,
    latent_dim=DIM,
    hidden_dim=4,
    batch_size=BATCH,
    codebook_update="ema",
    ema_decay=0.8,
    ema_epsilon=1e-2,
    revive_after_steps=1_000,
)


def model_of(config: sid.RQVAEConfig) -> sid.RQVAE:
    """An RQ-VAE whose encoder is the identity and stays so."""
    model = sid.RQVAE(DIM, config)
    books = np.zeros((2, 6, DIM), np.float32)
    random = np.random.default_rng(0)
    for level, size in enumerate(SIZES):
        books[level, :size] = random.normal(size=(size, DIM)) * 0.7**level
        if config.assignment == "cosine":
            books[level, :size] = unit(books[level, :size])
    model.start(Standardization(np.zeros(DIM, np.float32), 1.0), np.eye(DIM, dtype=np.float32), books)
    model.compile(tf_keras.optimizers.SGD(0.0))
    return model


def unit(vectors: np.ndarray) -> np.ndarray:
    """Brought to length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class Numbers:
    """The same in NumPy and float64."""

    def __init__(self, model: sid.RQVAE) -> None:
        self.cosine = model.config.assignment == "cosine"
        self.books = [model.quantizer.codebook(level).numpy().astype(np.float64) for level in range(2)]
        self.counts = [np.full(size, BATCH / 6) for size in SIZES]
        self.sums = [book * BATCH / 6 for book in self.books]

    def step(self, batch: np.ndarray, weights: np.ndarray) -> None:
        """Takes in a batch."""
        left, moved = batch.astype(np.float64), []
        for level, book in enumerate(self.books):
            inputs = unit(left) if self.cosine else left
            code = np.square(inputs[:, None] - book).sum(axis=2).argmin(axis=1)
            chosen = np.eye(len(book))[code] * weights[:, None]
            self.counts[level] = 0.8 * self.counts[level] + 0.2 * chosen.sum(axis=0)
            self.sums[level] = 0.8 * self.sums[level] + 0.2 * chosen.T @ inputs
            total = self.counts[level].sum()
            smoothed = (self.counts[level] + 1e-2) / (total + len(book) * 1e-2) * total
            words = self.sums[level] / smoothed[:, None]
            moved.append(unit(words) if self.cosine else words)
            left = left - book[code]
        self.books = moved


@pytest.mark.parametrize("assignment", ["euclidean", "cosine"])
def test_ten_steps_are_those_of_numpy(assignment: str) -> None:
    model = model_of(dataclasses.replace(CONFIG, assignment=assignment))
    numbers, random = Numbers(model), np.random.default_rng(1)
    for _ in range(10):
        batch = random.normal(size=(BATCH, DIM)).astype(np.float32)
        weights = random.integers(0, 4, BATCH).astype(np.float32)
        model.train_on_batch(batch, weights, weights)
        numbers.step(batch, weights)
    for level, size in enumerate(SIZES):
        np.testing.assert_allclose(
            model.quantizer.codebook(level), numbers.books[level], rtol=1e-3, atol=1e-4
        )
        np.testing.assert_allclose(model.averages.counts[level, :size], numbers.counts[level], rtol=1e-4)
        np.testing.assert_allclose(
            model.averages.sums[level, :size], numbers.sums[level], rtol=1e-3, atol=1e-3
        )
    assert not model.quantizer.codebooks.numpy()[1, 4:].any()


@pytest.mark.parametrize("junk", [1e6, 1e30, np.inf, np.nan])
def test_rows_of_weight_zero_change_nothing_whatever_they_hold(junk: float) -> None:
    random = np.random.default_rng(2)
    batch = random.normal(size=(BATCH, DIM)).astype(np.float32)
    padded = np.concatenate([batch, np.full((9, DIM), junk, np.float32)])
    weights = np.ones(BATCH, np.float32)
    bare, with_padding = model_of(CONFIG), model_of(CONFIG)
    bare.train_on_batch(batch, weights, weights)
    weights = np.concatenate([weights, np.zeros(9, np.float32)])
    with_padding.train_on_batch(padded, weights, weights)
    for a, b in zip(bare.get_weights(), with_padding.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_the_order_of_a_batch_does_not_matter() -> None:
    random = np.random.default_rng(3)
    batch = random.normal(size=(BATCH, DIM)).astype(np.float32)
    first, second = model_of(CONFIG), model_of(CONFIG)
    first.train_on_batch(batch)
    second.train_on_batch(batch[random.permutation(BATCH)])
    np.testing.assert_allclose(first.quantizer.codebooks, second.quantizer.codebooks, rtol=1e-4, atol=1e-6)


def test_the_loss_has_no_codebook_term_and_the_codebooks_no_gradient() -> None:
    model, gradient = model_of(CONFIG), model_of(dataclasses.replace(CONFIG, codebook_update="gradient"))
    batch = np.random.default_rng(4).normal(size=(BATCH, DIM)).astype(np.float32)
    losses, quantized = model.losses_of(batch)
    codebook = np.square(quantized.residuals - quantized.codewords).sum(axis=2).sum(axis=0)
    np.testing.assert_allclose(losses + codebook, gradient.losses_of(batch)[0], rtol=1e-5)
    trained = {id(variable) for variable in model.trainable_variables}
    assert trained.isdisjoint(map(id, (model.quantizer.codebooks, *model.averages.weights)))
    assert id(gradient.quantizer.codebooks) in {id(variable) for variable in gradient.trainable_variables}


def assert_averages_are_the_codebooks(model: sid.RQVAE) -> None:
    """As after a restart: a step without items would leave the codewords where they are."""
    assert model.averages.counts.numpy()[0, 0] == model.averages.start_count
    np.testing.assert_array_equal(
        model.averages.sums, model.averages.start_count * model.quantizer.codebooks.numpy()
    )


def test_idle_codes_that_were_moved_stay_where_they_are() -> None:
    """The start moves a hundred of these, and the end of a fit those two that are far away."""
    items = sid.synthetic_items(300, dim=8, seed=1).embeddings
    model = start_rqvae(items, None, dataclasses.replace(CONFIG, codebook_size=128))
    assert_averages_are_the_codebooks(model)
    model.compile(tf_keras.optimizers.SGD(0.0))
    model.quantizer.codebooks.assign(
        tf.tensor_scatter_nd_update(model.quantizer.codebooks, [[0, 3], [1, 2]], tf.fill([2, DIM], 1e3))
    )
    best = KeepBest(WeightedRows(items, np.ones(300, np.float32)))
    tf_keras.callbacks.CallbackList([best], model=model, epochs=2, steps=1).on_train_begin()
    best.settle(best.judged)
    assert np.abs(model.quantizer.codebooks).max() < 1e2
    assert_averages_are_the_codebooks(model)


@pytest.mark.parametrize("assignment", ["euclidean", "hybrid"])
def test_a_fit_with_moving_averages_uses_its_codes_and_improves(assignment: str) -> None:
    items = sid.synthetic_items(1_500, dim=16, seed=1).embeddings
    config = sid.RQVAEConfig(
        num_levels=3,
        codebook_size=16,
        latent_dim=8,
        hidden_dim=16,
        epochs=6,
        batch_size=256,
        codebook_update="ema",
        assignment=assignment,
        gradient="rotation",
        revive_below=1.0,
    )
    model, again = (sid.fit_rqvae(items, config=config) for _ in range(2))
    assert model.fingerprint == again.fingerprint
    assert sid.normalized_mse(items, model(items).numpy()) < 0.35
    assert min(sid.code_usage(model.encode(items).numpy(), model.code_space)) > 0.9
