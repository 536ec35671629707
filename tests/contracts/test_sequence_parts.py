"""Every public part of a sequence model survives inside one: config, graph, SavedModel, `.keras` file.

These parts take several inputs, so that they are tested where they are used.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from examples_of_parts import INSIDE_SEQUENTIAL
from models.sequence_worlds import (
    LOSSES,
    MIXERS,
    compact_tower,
    model,
    packed_batch,
    pieces_tower,
    summed_tower,
    unified_tower,
)

import semid_tf as sid

HISTORIES = tf.constant([[0, 3, 9, 2], [5, 1, 7, 4]])
TOWERS = {"summed": summed_tower, "pieces": pieces_tower, "compact": compact_tower}
VARIANTS = {f"{mixer} {loss}": (mixer, loss) for mixer in MIXERS for loss in LOSSES}


@pytest.fixture(scope="module", params=[*VARIANTS, *TOWERS])
def made(request: pytest.FixtureRequest) -> sid.SequentialModel:
    """Models that together hold every part."""
    if request.param in TOWERS:
        return model(tower=TOWERS[request.param]())
    return model(*VARIANTS[request.param], unified_tower())


def settings(config: Any) -> Any:
    """A config as JSON has it, without names and shapes, which Keras gives."""
    if isinstance(config, dict):
        kept = config.keys() - {"name", "build_config"}
        return {key: settings(config[key]) for key in kept}
    return [settings(value) for value in config] if isinstance(config, list | tuple) else config


def loss_of(made: sid.SequentialModel) -> float:
    return float(made.compute_loss({name: tf.constant(part) for name, part in packed_batch().items()}))


def test_the_variants_hold_every_part() -> None:
    models = [model(tower=tower()) for tower in TOWERS.values()]
    models += [model(*names) for names in VARIANTS.values()]
    held = {type(layer) for one in models for layer in one.submodules}
    assert set(INSIDE_SEQUENTIAL) <= held


def test_config_round_trip(made: sid.SequentialModel) -> None:
    config = json.loads(json.dumps(made.get_config()))
    again = sid.SequentialModel.from_config(config)
    again.set_weights(made.get_weights())
    np.testing.assert_allclose(again(HISTORIES), made(HISTORIES), atol=1e-5)
    assert settings(again.get_config()) == settings(config)


def test_one_config_gives_one_start(made: sid.SequentialModel) -> None:
    first, second = (sid.SequentialModel.from_config(made.get_config()) for _ in range(2))
    for a, b in zip(first.trainable_weights, second.trainable_weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_graph_equals_eager(made: sid.SequentialModel) -> None:
    np.testing.assert_allclose(tf.function(made)(HISTORIES), made(HISTORIES), atol=1e-5)


def test_saved_model_and_keras_file_equal_eager(made: sid.SequentialModel, tmp_path: Path) -> None:
    module = tf.Module()
    module.made = made
    module.run = tf.function(made, input_signature=[tf.TensorSpec((None, None), tf.int32)])
    tf.saved_model.save(module, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(loaded.run(HISTORIES), made(HISTORIES), atol=1e-5)
    made.save(tmp_path / "made.keras")
    again = tf_keras.models.load_model(tmp_path / "made.keras", compile=False)
    np.testing.assert_allclose(again(HISTORIES), made(HISTORIES), atol=1e-5)
    assert np.isfinite(loss_of(again))
