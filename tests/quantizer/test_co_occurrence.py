"""The co-occurrence loss by hand, and in training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid


def test_two_pairs_by_hand() -> None:
    first = tf.constant([[2.0, 0.0], [0.0, 5.0]])
    second = tf.constant([[1.0, 0.0], [3.0, 3.0]])
    # Cosines: [1, .7071], [0, .7071]; temperature .5 doubles them.
    root = math.sqrt(0.5)
    expected = [
        math.log(math.exp(2) + math.exp(2 * root)) - 2,
        math.log(1 + math.exp(2 * root)) - 2 * root,
    ]
    np.testing.assert_allclose(sid.co_occurrence_loss(first, second, temperature=0.5), expected, rtol=1e-5)


def test_a_pair_of_weight_zero_is_no_negative() -> None:
    random = np.random.default_rng(0)
    first, second = (tf.constant(random.normal(size=(5, 3)), tf.float32) for _ in range(2))
    weights = tf.constant([1.0, 2.0, 0.0, 1.0, 0.0])
    found = sid.co_occurrence_loss(first, second, weights)
    kept = [0, 1, 3]
    alone = sid.co_occurrence_loss(tf.gather(first, kept), tf.gather(second, kept))
    np.testing.assert_allclose(tf.gather(found, kept), alone, rtol=1e-5)


def test_training_on_pairs_adds_it_to_the_loss_of_both_items() -> None:
    config = sid.RQVAEConfig(
        num_levels=2, codebook_size=8, latent_dim=4, hidden_dim=4, contrastive_weight=0.7
    )
    model = sid.RQVAE(6, config)
    model.compile(tf_keras.optimizers.SGD(0.0))
    random = np.random.default_rng(1)
    first, second = (random.normal(size=(20, 6)).astype(np.float32) for _ in range(2))
    weights = random.integers(0, 3, 20).astype(np.float32)
    vectors = [model.quantizer.decode(model.encode(items)) for items in (first, second)]
    both = [model.losses_of(items)[0].numpy() for items in (first, second)]
    together = sid.co_occurrence_loss(*vectors, tf.constant(weights)).numpy()
    expected = np.average(np.mean(both, axis=0) + 0.7 * together, weights=weights) / 6
    data = tf.data.Dataset.from_tensors(((first, second), weights, weights))
    assert model.evaluate(data, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert model.fit(data, verbose=0).history["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_it_pulls_items_seen_together_together() -> None:
    random = np.random.default_rng(2)
    items = random.normal(size=(256, 8)).astype(np.float32)
    first, second = items[0::2], items[1::2]

    def cosines(weight: float) -> float:
        config = sid.RQVAEConfig(
            num_levels=2, codebook_size=16, latent_dim=8, hidden_dim=16, contrastive_weight=weight
        )
        model = sid.RQVAE(8, config)
        model.quantizer.codebooks.assign(np.random.default_rng(3).normal(size=(2, 16, 8)) * [[[1]], [[0.5]]])
        model.compile(tf_keras.optimizers.Adam(3e-3))
        ones = np.ones(128, np.float32)
        data = tf.data.Dataset.from_tensors(((first, second), ones, ones)).repeat(60)
        model.fit(data, verbose=0)
        latents = [tf.math.l2_normalize(model.latent(side), axis=1) for side in (first, second)]
        return float(tf.reduce_mean(tf.reduce_sum(latents[0] * latents[1], axis=1)))

    assert cosines(30.0) > cosines(0.0) + 0.2
