"""Dead codes move onto items that count, each onto another one, and only then."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid
from semid_tf.quantizer.revival import revive

SEED = tf.constant([3, 4])


@pytest.fixture
def quantizer() -> sid.ResidualQuantizer:
    """Two levels of 6 and 4 codes."""
    layer = sid.ResidualQuantizer(2, (6, 4))
    layer.build((None, 3))
    return layer


@pytest.fixture(scope="module")
def latent() -> np.ndarray:
    """Thirty vectors."""
    return np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)


def dead_codes(*places: tuple[int, int]) -> tf.Tensor:
    """Those marked."""
    marked = np.zeros((2, 6), bool)
    marked[tuple(np.array(places).T)] = True
    return tf.constant(marked)


@pytest.mark.parametrize("seed", range(20))
def test_items_of_weight_zero_are_never_drawn(
    quantizer: sid.ResidualQuantizer, latent: np.ndarray, seed: int
) -> None:
    weights = np.zeros(30, np.float32)
    weights[[4, 17, 29]] = [0.1, 5.0, 1.0]
    result, before = quantizer(latent), quantizer.codebooks.numpy()
    dead = dead_codes((0, 1), (1, 2), (1, 3))
    moved = revive(quantizer, dead, result, tf.constant(weights), tf.constant([seed, 0]))
    np.testing.assert_array_equal(moved, dead)
    after = quantizer.codebooks.numpy()
    np.testing.assert_array_equal(after[~dead.numpy()], before[~dead.numpy()])
    drawn = set()
    for level, code in np.argwhere(dead.numpy()):
        gaps = np.abs(result.residuals[level].numpy() - after[level, code]).max(axis=1)
        assert gaps.min() == 0, "no residual of that level"
        drawn.add(int(gaps.argmin()))
    assert drawn == {4, 17, 29}


def test_with_more_dead_codes_than_items_items_are_drawn_again(
    quantizer: sid.ResidualQuantizer, latent: np.ndarray
) -> None:
    result = quantizer(latent)
    weights = tf.constant(np.arange(30) == 8, tf.float32)
    revive(quantizer, dead_codes((0, 0), (0, 5)), result, weights, SEED)
    for code in (0, 5):
        np.testing.assert_array_equal(quantizer.codebooks[0, code], result.residuals[0, 8])


def test_a_batch_without_weight_revives_nothing(quantizer: sid.ResidualQuantizer, latent: np.ndarray) -> None:
    before = quantizer.codebooks.numpy()
    moved = revive(quantizer, dead_codes((0, 0)), quantizer(latent), tf.zeros(30), SEED)
    assert not moved.numpy().any()
    np.testing.assert_array_equal(quantizer.codebooks, before)


CONFIG = sid.RQVAEConfig(
    num_levels=2, codebook_size=8, latent_dim=3, hidden_dim=4, revive_after_steps=2, batch_size=64
)


def far_code(config: sid.RQVAEConfig) -> sid.RQVAE:
    """A model whose code 5 of level 1 nobody chooses."""
    model = sid.RQVAE(4, config)
    books = np.random.default_rng(1).normal(size=(2, 8, 3))
    books[1, 5] = 1e3
    model.quantizer.codebooks.assign(books)
    model.compile(tf_keras.optimizers.SGD(0.0))
    if model.averages is not None:
        model.averages.restart(model.quantizer)
    return model


def test_a_code_that_only_items_of_weight_zero_choose_is_idle() -> None:
    model = far_code(CONFIG)
    items = np.random.default_rng(2).normal(size=(64, 4)).astype(np.float32)
    codes = model.encode(items).numpy()[:, 0]
    code = np.bincount(codes).argmax()
    weights = (codes != code).astype(np.float32)
    model.train_on_batch(items, weights, weights)
    assert int(model.idle_steps[0, code]) == 1


def test_with_moving_averages_a_low_count_revives_and_starts_afresh() -> None:
    config = dataclasses.replace(
        CONFIG, codebook_update="ema", ema_decay=0.5, revive_below=1.0, revive_after_steps=10_000
    )
    model = far_code(config)
    items = np.random.default_rng(2).normal(size=(64, 4)).astype(np.float32)
    # Counts start at 64 / 8 and halve: 4, 2, 1, then below.
    for expected in (4.0, 2.0, 1.0):
        model.train_on_batch(items)
        assert float(model.averages.counts[1, 5]) == expected
    inputs = model.quantizer(model.latent(items)).inputs[1].numpy()
    model.train_on_batch(items)
    assert float(model.averages.counts[1, 5]) == 8.0
    word = model.quantizer.codebooks[1, 5].numpy()
    assert np.abs(word).max() < 10
    assert np.abs(inputs - word).max(axis=1).min() < 1e-6
    np.testing.assert_allclose(model.averages.sums[1, 5], 8 * word, rtol=1e-5)
