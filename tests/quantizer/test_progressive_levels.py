"""Training with the first r levels: what takes part, and how often."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid

CONFIG = sid.RQVAEConfig(
    num_levels=3,
    codebook_size=8,
    latent_dim=4,
    hidden_dim=5,
    commitment_weight=0.4,
    progressive_levels=True,
    revive_after_steps=999,
)


@pytest.fixture
def model() -> sid.RQVAE:
    """Of random codebooks; nothing learns."""
    made = sid.RQVAE(6, CONFIG)
    made.quantizer.codebooks.assign(np.random.default_rng(0).normal(size=(3, 8, 4)))
    made.compile(tf_keras.optimizers.SGD(0.0))
    return made


@pytest.fixture(scope="module")
def items() -> np.ndarray:
    """Fifty embeddings."""
    return np.random.default_rng(1).normal(size=(50, 6)).astype(np.float32)


def loss_with(model: sid.RQVAE, items: np.ndarray, levels: int) -> float:
    """The loss a dimension with the first levels only, from the quantizer's own figures."""
    quantized = model.quantizer(model.latent(items))
    words, left = quantized.codewords.numpy()[:levels], quantized.residuals.numpy()[:levels]
    restored = model.decoder(words.sum(axis=0)).numpy()
    of_levels = 1.4 * np.square(left - words).sum(axis=2).sum(axis=0)
    return float(np.mean(np.square(items - restored).sum(axis=1) + of_levels)) / 6


def test_each_step_trains_on_some_first_levels_all_alike_often(model: sid.RQVAE, items: np.ndarray) -> None:
    expected = [loss_with(model, items, levels) for levels in (1, 2, 3)]
    found = np.array([model.train_on_batch(items) for _ in range(150)])
    counts = [int(np.isclose(found, loss, rtol=1e-4).sum()) for loss in expected]
    assert sum(counts) == 150
    assert min(counts) > 30


def test_the_evaluation_loss_is_that_of_all_levels(model: sid.RQVAE, items: np.ndarray) -> None:
    assert model.test_on_batch(items) == pytest.approx(loss_with(model, items, 3), rel=1e-5)
    without = sid.RQVAE(6, dataclasses.replace(CONFIG, progressive_levels=False))
    without.set_weights(model.get_weights())
    without.compile(tf_keras.optimizers.SGD(0.0))
    assert without.train_on_batch(items) == pytest.approx(loss_with(model, items, 3), rel=1e-5)


def test_levels_left_out_neither_learn_nor_grow_idle(items: np.ndarray) -> None:
    for update in ("gradient", "ema"):
        made = sid.RQVAE(6, dataclasses.replace(CONFIG, codebook_update=update))
        made.compile(tf_keras.optimizers.SGD(0.1))
        if made.averages is not None:
            made.averages.restart(made.quantizer)
        for _ in range(12):
            books, idle = made.quantizer.codebooks.numpy(), made.idle_steps.numpy()
            levels = made._levels_of_step().numpy()
            made.train_on_batch(items)
            still = [
                np.array_equal(a, b) for a, b in zip(books, made.quantizer.codebooks.numpy(), strict=True)
            ]
            if update == "gradient":
                np.testing.assert_array_equal(still, ~levels)
            else:
                # Averages are divided anew, which rounds.
                np.testing.assert_allclose(
                    made.quantizer.codebooks.numpy()[~levels], books[~levels], rtol=1e-5
                )
                assert not np.array(still)[levels].any()
            np.testing.assert_array_equal(made.idle_steps.numpy()[~levels], idle[~levels])


def test_a_fit_is_reproducible_and_sound() -> None:
    items = sid.synthetic_items(1_000, dim=8, seed=1).embeddings
    config = dataclasses.replace(CONFIG, epochs=3, batch_size=128)
    first, second = (sid.fit_rqvae(items, config=config) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    assert sid.normalized_mse(items, first(items).numpy()) < 0.5
    assert tf.reduce_all(tf.math.is_finite(first.quantizer.codebooks))
