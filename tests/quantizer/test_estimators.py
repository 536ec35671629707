"""The gradient through the quantizer: the identity, or a rotation, by hand and by their laws."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from semid_tf.quantizer.estimators import ESTIMATORS, rotation, straight_through


@pytest.fixture(scope="module")
def vectors() -> tuple[tf.Tensor, tf.Tensor]:
    """Latent vectors and what they are quantized to."""
    random = np.random.default_rng(0)
    return tuple(tf.constant(random.normal(size=(6, 4)), tf.float32) for _ in range(2))


def jacobians(estimator: object, latent: tf.Tensor, quantized: tf.Tensor) -> np.ndarray:
    """d output / d latent of each row: [n, dim, dim]."""
    with tf.GradientTape() as tape:
        tape.watch(latent)
        output = estimator(latent, quantized)
    return tape.batch_jacobian(output, latent).numpy()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_value_is_what_was_quantized(vectors: tuple, name: str) -> None:
    np.testing.assert_allclose(ESTIMATORS[name](*vectors), vectors[1], atol=1e-6)


def test_straight_through_is_the_identity(vectors: tuple) -> None:
    np.testing.assert_array_equal(jacobians(straight_through, *vectors), np.tile(np.eye(4), (6, 1, 1)))


def test_rotation_turns_and_stretches_the_latent_vector_onto_the_quantized_one(vectors: tuple) -> None:
    latent, quantized = (v.numpy() for v in vectors)
    found = jacobians(rotation, *vectors)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", found, latent), quantized, atol=1e-5)
    stretch = np.linalg.norm(quantized, axis=1) / np.linalg.norm(latent, axis=1)
    turned = found / stretch[:, None, None]
    np.testing.assert_allclose(turned @ turned.transpose(0, 2, 1), np.tile(np.eye(4), (6, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(turned), 1, atol=1e-5)


def test_a_quarter_turn_by_hand() -> None:
    found = jacobians(rotation, tf.constant([[1.0, 0.0, 0.0]]), tf.constant([[0.0, 2.0, 0.0]]))
    np.testing.assert_allclose(found[0], [[0, -2, 0], [2, 0, 0], [0, 0, 2]], atol=1e-6)


def test_no_gradient_reaches_the_codewords(vectors: tuple) -> None:
    for estimator in ESTIMATORS.values():
        with tf.GradientTape() as tape:
            tape.watch(vectors[1])
            output = tf.reduce_sum(estimator(*vectors))
        gradient = tape.gradient(output, vectors[1])
        assert gradient is None or not gradient.numpy().any()


@pytest.mark.parametrize("latent", [[0.0, 0.0], [-1.0, 0.0]])
def test_zeros_and_opposites_keep_their_value(latent: list[float]) -> None:
    latent, quantized = tf.constant([latent]), tf.constant([[3.0, 0.0]])
    np.testing.assert_allclose(rotation(latent, quantized), quantized, atol=1e-6)
    assert np.isfinite(jacobians(rotation, latent, quantized)).all()
