"""Every public layer and model survives: its config, a graph, a SavedModel, a `.keras` file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from examples_of_parts import EXAMPLES, INSIDE_SEQUENTIAL, Part, example, public

import semid_tf as sid

# Metrics are layers to Keras; tests/quantizer/test_keras_metrics.py has their contract. Parts of a ranker
# that take more than one tensor are tried within one, in tests/models; parts of sequence models in
# test_sequence_parts.py.
ELSEWHERE = (tf_keras.metrics.Metric, sid.History, sid.ContextFeatures, *INSIDE_SEQUENTIAL)
BASES = (sid.SequenceLoss, sid.SequenceScorer)
LAYERS = [part for part in public(tf_keras.layers.Layer) if not issubclass(part, ELSEWHERE)]
PUBLIC = [part for part in LAYERS if part not in BASES]
# Codebooks come from k-means; their initializer is only a place-holder.
STARTED_FROM_DATA = (sid.ResidualQuantizer, sid.ResidualKMeans, sid.RQVAE)


@pytest.fixture(scope="module", params=PUBLIC, ids=[part.__name__ for part in PUBLIC])
def part(request: pytest.FixtureRequest) -> Part:
    """Each public layer and model in turn."""
    assert request.param in EXAMPLES, (
        f"{request.param.__name__} is public, but has no example in examples_of_parts.py"
    )
    return example(request.param)


def assert_same(found: Any, expected: Any) -> None:
    """Equal structures of tensors: integers exactly, floats up to the order of a sum."""
    found, expected = tf.nest.flatten(found), tf.nest.flatten(expected)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5 if a.dtype.is_floating else 0, atol=1e-6)


def test_every_example_is_public() -> None:
    assert set(EXAMPLES) <= set(PUBLIC)


def test_the_example_tells_something(part: Part) -> None:
    for output in tf.nest.flatten(part.layer(part.inputs)):
        assert len(np.unique(output.numpy())) > 1


def test_config_round_trip(part: Part) -> None:
    config = json.loads(json.dumps(part.layer.get_config()))
    again = type(part.layer).from_config(config)
    again(part.inputs)
    again.set_weights(part.layer.get_weights())
    assert_same(again(part.inputs), part.layer(part.inputs))
    assert again.get_config() == part.layer.get_config()


@pytest.mark.parametrize("kind", [part for part in PUBLIC if part not in STARTED_FROM_DATA])
def test_one_config_gives_one_start(kind: type) -> None:
    part = EXAMPLES[kind]()
    first, second = (kind.from_config(part.layer.get_config()) for _ in range(2))
    first(part.inputs)
    second(part.inputs)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_graph_equals_eager(part: Part) -> None:
    assert_same(tf.function(part.layer)(part.inputs), part.layer(part.inputs))


def test_saved_model_equals_eager(part: Part, tmp_path: Path) -> None:
    module = tf.Module()
    module.layer = part.layer
    module.run = tf.function(part.layer, input_signature=[_any_batch(part.inputs)])
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    assert_same(loaded.run(part.inputs), part.layer(part.inputs))


def _any_batch(inputs: Any) -> Any:
    """Specifications that leave the batch open; a model's inputs keep their names."""
    return tf.nest.map_structure(lambda t: tf.TensorSpec((None, *t.shape[1:]), t.dtype), inputs)


def test_keras_file_equals_eager(part: Part, tmp_path: Path) -> None:
    model, path = _as_model(part), tmp_path / "part.keras"
    model.save(path)
    again = tf_keras.models.load_model(path, compile=False)
    assert_same(again(part.inputs), part.layer(part.inputs))


def _as_model(part: Part) -> tf_keras.Model:
    if isinstance(part.layer, tf_keras.Model):
        return part.layer
    inputs = tf_keras.Input(part.inputs.shape[1:], dtype=part.inputs.dtype)
    return tf_keras.Model(inputs, part.layer(inputs))
