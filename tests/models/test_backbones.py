"""Backbones: no look ahead, no look into other sequences, packing changes nothing; attention by NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from models.sequence_worlds import MIXERS, backbone

import semid_tf as sid

VECTORS = np.random.default_rng(0).normal(size=(1, 6, 6)).astype(np.float32)
PLACES = sid.Places(tf.constant([[1, 1, 1, 2, 2, 2]]), tf.constant([[3, 2, 1, 3, 2, 1]]))


@pytest.fixture(params=[(mixer, first) for mixer in MIXERS for first in (False, True)], ids=str)
def net(request: pytest.FixtureRequest) -> sid.Backbone:
    """Every mixer in post-LN and pre-LN blocks."""
    mixer, norm_first = request.param
    return backbone(mixer, norm_first, net_dim=0 if mixer == "gated" else 8)


def test_what_comes_later_or_in_another_sequence_changes_nothing(net: sid.Backbone) -> None:
    before = net(tf.constant(VECTORS), PLACES).numpy()
    for changed in range(6):
        moved = VECTORS.copy()
        moved[0, changed, 0] += 1.0
        differs = ~np.isclose(net(tf.constant(moved), PLACES).numpy(), before, atol=1e-6).all(axis=-1)[0]
        expected = [changed <= place and changed // 3 == place // 3 for place in range(6)]
        assert differs.tolist() == expected


def test_packed_equals_alone(net: sid.Backbone) -> None:
    together = net(tf.constant(VECTORS), PLACES).numpy()[0, 3:]
    padded = np.concatenate([np.full((1, 2, 6), 9, np.float32), VECTORS[:, 3:]], axis=1)
    places = sid.Places(tf.constant([[0, 0, 1, 1, 1]]), tf.constant([[0, 0, 3, 2, 1]]))
    np.testing.assert_allclose(net(tf.constant(padded), places).numpy()[0, 2:], together, atol=1e-5)


def test_attention_equals_numpy() -> None:
    layer, x = sid.SelfAttention(2, 4, 0.0, seed=1), VECTORS
    found = layer(tf.constant(x), PLACES).numpy()
    kernel, bias, out, out_bias = (weight.numpy() for weight in layer.weights[:4])
    expected = np.tile(out_bias, (6, 1))
    for head in range(2):
        query, key, value = (x[0] @ kernel[:, kind, head] + bias[kind, head] for kind in range(3))
        for place in range(6):
            seen = [j for j in range(place + 1) if j // 3 == place // 3]
            odds = np.exp(key[seen] @ query[place] / np.sqrt(2))
            expected[place] += (odds / odds.sum()) @ value[seen] @ out[head]
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    "mixer", [lambda: sid.SelfAttention(3, 64, 0.5, seed=1), lambda: sid.GatedAttention(3, 64)]
)
def test_heads_of_unequal_width_are_refused(mixer: Callable[[], object]) -> None:
    with pytest.raises(sid.ConfigError, match="num_heads must divide width, 64, got 3"):
        mixer()


def test_frequencies_are_a_mean_of_the_latest_events_and_the_rest() -> None:
    layer = sid.FrequencyMixer(sid.SelfAttention(1, 4, 0.0, seed=2), window=2, share=1.0, seed=3)
    found = layer(tf.constant(VECTORS), PLACES).numpy()[0]
    low = (VECTORS[0, 4] + VECTORS[0, 5]) / 2
    np.testing.assert_allclose(found[5], low + layer.beta.numpy() ** 2 * (VECTORS[0, 5] - low), atol=1e-5)
    np.testing.assert_allclose(found[3], VECTORS[0, 3], atol=1e-5)  # the first has no one before it


def test_dropout_goes_on_where_its_count_stands() -> None:
    first, second = sid.CountedDropout(0.5, seed=3), sid.CountedDropout(0.5, seed=3)
    ones = tf.ones((4, 50))
    draws = [first(ones, training=True).numpy() for _ in range(3)]
    second(ones)
    second.draws.calls.assign(2)
    np.testing.assert_array_equal(second(ones, training=True), draws[2])
    assert not np.array_equal(draws[1], draws[2])
    assert set(np.unique(draws)) == {0.0, 2.0}
    np.testing.assert_array_equal(first(ones), ones)
