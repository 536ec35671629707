"""Standardisation within the encoder's first weights gives what it gives before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import semid_tf as sid
from semid_tf.quantizer.folding import ConstantEncoder, fold
from semid_tf.quantizer.shortcut import LinearThenMLP


@pytest.fixture(scope="module")
def encoder() -> LinearThenMLP:
    layer = LinearThenMLP(8, 32, seed=1)
    layer.build((None, 24))
    for weight in layer.weights:
        weight.assign(tf.random.stateless_normal(weight.shape, [1, 2]))
    return layer


def standardization(length: float) -> tuple[tf.Tensor, tf.Tensor]:
    """A mean that is so many times as long as what embeddings deviate from it by, and a scale."""
    mean = np.random.default_rng(2).standard_normal(24).astype(np.float32)
    return tf.constant(mean * length * 3 / np.sqrt(np.mean(mean**2)), tf.float32), tf.constant(3.0)


@pytest.mark.parametrize("length", [0.0, 0.9, 1.1, 1e4])
def test_it_gives_what_the_encoder_gives_of_standardised_embeddings(
    encoder: LinearThenMLP, length: float
) -> None:
    mean, scale = standardization(length)
    x = mean + scale * np.random.default_rng(3).standard_normal((500, 24)).astype(np.float32)
    expected = encoder((x - mean) / scale)
    found = ConstantEncoder(fold(encoder, mean, scale))(x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_only_a_long_mean_is_subtracted_first(encoder: LinearThenMLP) -> None:
    short, long = (fold(encoder, *standardization(length)) for length in (0.9, 1.1))
    assert not np.any(short.shift)
    np.testing.assert_array_equal(long.shift, standardization(1.1)[0])


@pytest.mark.parametrize("offset", [0.0, 40.0])
def test_the_saved_quantizer_and_the_model_give_equal_codes(
    fitted: sid.RQVAE, catalogue_items: sid.Items, offset: float, tmp_path: Path
) -> None:
    moved = sid.RQVAE.from_config(fitted.get_config())
    moved.set_weights(fitted.get_weights())
    moved.mean.assign_add(tf.fill(moved.mean.shape, offset))
    items = catalogue_items.embeddings + np.float32(offset)
    sid.save_quantizer(moved, tmp_path / "it")
    encode = tf.saved_model.load(str(tmp_path / "it")).signatures["encode"]
    np.testing.assert_array_equal(encode(embedding=tf.constant(items))["codes"], moved.encode(items))
