"""Losses against values by hand and laws."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import semid_tf as sid
from semid_tf.models.sequence_losses import Candidates

RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal(size=(9, 3)).astype(np.float32)
HIDDEN = RANDOM.normal(size=(4, 3)).astype(np.float32)
TARGETS = np.array([2, 7, 4, 2], np.int32)


def judged(loss: sid.SequenceLoss, others: tf.Tensor | None = None) -> float:
    targets = tf.constant(TARGETS)
    others = loss.others(targets) if others is None else others
    target, other = (Candidates(part, tf.gather(VECTORS, part)) for part in (targets, others))
    return float(loss(tf.constant(HIDDEN), target, other))


def test_full_softmax_is_cross_entropy_over_the_given_items() -> None:
    items = np.array([2, 4, 5, 7])
    logits = HIDDEN @ VECTORS[items].T
    own = (HIDDEN * VECTORS[TARGETS]).sum(axis=1)
    expected = (np.log(np.exp(logits).sum(axis=1)) - own).mean()
    assert judged(sid.FullSoftmax(items)) == pytest.approx(expected, rel=1e-5)


def test_binary_cross_entropy_by_hand_and_without_the_target_itself() -> None:
    others = np.array([3, 7, 1, 8])  # the second is its own target: no pair
    liked, other = ((HIDDEN * VECTORS[rows]).sum(axis=1) for rows in (TARGETS, others))
    losses = np.log1p(np.exp(-liked)) + np.log1p(np.exp(other))
    expected = losses[[0, 2, 3]].mean()
    assert judged(sid.BinaryCrossEntropy(range(1, 9)), tf.constant(others, tf.int32)) == pytest.approx(
        expected, rel=1e-5
    )


def test_sampled_softmax_nears_the_full_one_with_many_samples() -> None:
    counts = np.array([5, 1, 2, 9, 1, 3, 4, 2])
    full = judged(sid.FullSoftmax(np.arange(1, 9)))
    loss = sid.SampledSoftmax(counts, num_samples=20_000, seed=1)
    assert judged(loss) == pytest.approx(full, rel=0.02)


def test_draws_follow_the_counts_and_never_a_count_of_zero() -> None:
    counts = np.array([0, 3, 0, 1, 6, 0])
    drawn = sid.SampledSoftmax(counts, num_samples=20_000, seed=2).others(tf.constant(TARGETS))
    shares = np.bincount(drawn.numpy() - 1, minlength=6) / 20_000
    np.testing.assert_allclose(shares, counts / 10, atol=0.015)
    assert not shares[counts == 0].any()
    items = np.array([3, 5])
    assert set(sid.BinaryCrossEntropy(items).others(tf.zeros(500, tf.int32)).numpy()) == set(items)


def test_every_call_draws_anew_and_a_count_repeats_it() -> None:
    first, second = (sid.BinaryCrossEntropy(np.arange(1, 1000), seed=4) for _ in range(2))
    draws = [first.others(tf.zeros(50, tf.int32)).numpy() for _ in range(2)]
    second.draws.calls.assign(1)
    np.testing.assert_array_equal(second.others(tf.zeros(50, tf.int32)), draws[1])
    assert not np.array_equal(*draws)


def test_counts_of_nothing_are_refused() -> None:
    with pytest.raises(sid.ConfigError, match="sampled softmax needs samples and counts above 0"):
        sid.SampledSoftmax(np.zeros(3))
