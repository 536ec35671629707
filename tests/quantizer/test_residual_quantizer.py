"""Residual quantization against NumPy, and the laws of its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from reference import residual_quantization as reference

import semid_tf as sid

LEVELS, SIZE, DIM = 3, 8, 5


def quantizer(codebooks: np.ndarray) -> sid.ResidualQuantizer:
    """A quantizer of the given codebooks."""
    layer = sid.ResidualQuantizer(*codebooks.shape[:2])
    layer.build((None, codebooks.shape[2]))
    layer.codebooks.assign(codebooks)
    return layer


@pytest.fixture(scope="module")
def codebooks() -> np.ndarray:
    """Each level half as large as the one before."""
    scales = 0.5 ** np.arange(LEVELS)[:, None, None]
    return (np.random.default_rng(0).normal(size=(LEVELS, SIZE, DIM)) * scales).astype(np.float32)


@pytest.fixture(scope="module")
def latent() -> np.ndarray:
    """Two hundred vectors."""
    return np.random.default_rng(1).normal(size=(200, DIM)).astype(np.float32)


def test_codes_residuals_and_codewords_are_those_of_numpy(codebooks: np.ndarray, latent: np.ndarray) -> None:
    residuals, codes = reference.residuals_and_codes(latent, codebooks)
    result = quantizer(codebooks)(latent)
    np.testing.assert_array_equal(result.codes, codes)
    np.testing.assert_allclose(result.residuals, residuals[:-1], atol=1e-6)
    np.testing.assert_allclose(result.residuals - result.codewords, residuals[1:], atol=1e-6)


@pytest.mark.parametrize("dim", [8, 64])
def test_at_8_levels_of_2048_each_code_is_the_nearest_up_to_rounding(dim: int) -> None:
    random = np.random.default_rng(dim)
    books = random.normal(size=(8, 2048, dim)) * 0.8 ** np.arange(8)[:, None, None]
    books, latent = books.astype(np.float32), random.normal(size=(500, dim)).astype(np.float32)
    codes = quantizer(books).encode(latent).numpy()
    rounding = 1e-6 * dim
    assert reference.too_far(latent, books, codes).max() < rounding
    others = (codes + 1) % 2048  # another code is further away than rounding explains
    assert (reference.too_far(latent, books[:1], others[:, :1]) > 10 * rounding).all()


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_on_a_grid_codes_are_exact(levels: int, size: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    codebooks = random.integers(-4, 5, (levels, size, 3)).astype(np.float32)
    latent = random.integers(-9, 10, (12, 3)).astype(np.float32)
    layer = quantizer(codebooks)
    _, codes = reference.residuals_and_codes(latent, codebooks)
    np.testing.assert_array_equal(layer.encode(latent), codes)
    np.testing.assert_array_equal(layer.encode(latent, levels=layer.levels()), codes)
    np.testing.assert_array_equal(layer.decode(codes), reference.decode(codes, codebooks))


def test_what_is_coded_plus_what_is_left_is_the_whole(codebooks: np.ndarray, latent: np.ndarray) -> None:
    layer = quantizer(codebooks)
    result = layer(latent)
    left = result.residuals[-1] - result.codewords[-1]
    np.testing.assert_allclose(layer.decode(result.codes) + left, latent, atol=1e-6)


def test_a_sum_of_clear_codewords_is_coded_as_itself() -> None:
    codebooks = np.stack([np.eye(4) * 100, np.eye(4) * 10, np.eye(4)]).astype(np.float32)
    codes = np.array([[0, 1, 2], [3, 3, 3], [2, 0, 1]])
    layer = quantizer(codebooks)
    np.testing.assert_array_equal(layer.encode(layer.decode(codes)), codes)


@pytest.mark.parametrize("level", range(LEVELS))
def test_the_commitment_of_every_level_reaches_the_latent(
    codebooks: np.ndarray, latent: np.ndarray, level: int
) -> None:
    layer, inputs = quantizer(codebooks), tf.Variable(latent)
    with tf.GradientTape() as tape:
        result = layer(inputs)
        difference = result.residuals[level] - tf.stop_gradient(result.codewords[level])
        commitment = tf.reduce_sum(tf.square(difference))
    # r_l is the latent minus constants, so the gradient is twice what the level leaves over.
    residuals, _ = reference.residuals_and_codes(latent, codebooks)
    gradient = tape.gradient(commitment, inputs)
    np.testing.assert_allclose(gradient, 2 * residuals[level + 1], atol=1e-5)
    assert (np.abs(gradient).max(axis=1) > 0).all()


@pytest.mark.parametrize("level", range(LEVELS))
def test_the_codebook_loss_of_a_level_moves_its_own_codewords_only(
    codebooks: np.ndarray, latent: np.ndarray, level: int
) -> None:
    layer = quantizer(codebooks)
    with tf.GradientTape() as tape:
        result = layer(latent)
        difference = tf.stop_gradient(result.residuals[level]) - result.codewords[level]
        loss = tf.reduce_sum(tf.square(difference))
    residuals, codes = reference.residuals_and_codes(latent, codebooks)
    expected = np.zeros(codebooks.shape)
    np.add.at(expected[level], codes[:, level], -2 * residuals[level + 1])
    gradient = tf.convert_to_tensor(tape.gradient(loss, layer.codebooks))
    np.testing.assert_allclose(gradient, expected, atol=1e-4)


def test_the_order_of_a_batch_is_the_order_of_its_codes(codebooks: np.ndarray, latent: np.ndarray) -> None:
    layer, order = quantizer(codebooks), np.random.default_rng(2).permutation(len(latent))
    np.testing.assert_array_equal(layer.encode(latent[order]), layer.encode(latent).numpy()[order])
