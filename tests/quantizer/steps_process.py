"""Training steps on weighted rows: `steps_process.py SETTINGS.json`, with one replica or several."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

import semid_tf as sid


def strategy(replicas: int) -> tf.distribute.Strategy | None:
    """One of so many replicas, all on the processor; None = no strategy."""
    if replicas == 1:
        return None
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])


def started(dim: int, config: dict[str, Any]) -> sid.RQVAE:
    """A model every other code of which nobody chooses."""
    model = sid.RQVAE(dim, sid.RQVAEConfig(**config))
    books = np.random.default_rng(1).normal(size=model.quantizer.codebooks.shape)
    model.quantizer.codebooks.assign(np.where(np.arange(books.shape[1])[:, None] % 2, 1e3, books))
    if model.averages is not None:
        model.averages.restart(model.quantizer)
    model.compile(tf_keras.optimizers.SGD(0.01))
    return model


def run_steps(config: dict[str, Any], shares: list[tuple], shared: Any) -> dict[str, np.ndarray]:
    """Three steps over the same rows: losses, counts and revivals as each replica says them, and weights."""
    with nullcontext() if shared is None else shared.scope():
        model = started(shares[0][0].shape[1], config)

    def of_replica(context: tf.distribute.ReplicaContext | None) -> Any:
        return shares[0 if context is None else context.replica_id_in_sync_group]

    @tf.function
    def step() -> tuple:
        if shared is None:
            return (model.learn(*of_replica(None)),)
        batch = [
            shared.experimental_distribute_values_from_function(lambda of, i=i: of_replica(of)[i])
            for i in range(2)
        ]
        learned = shared.run(model.learn, args=batch)
        fields = zip(*map(shared.experimental_local_results, learned), strict=True)
        return tuple(type(learned)(*values) for values in fields)

    saved = {
        f"{name}_{number}_{replica}": value.numpy()
        for number in range(3)
        for replica, learned in enumerate(step())
        for name, value in learned._asdict().items()
    }
    return saved | {f"weight_{i}": weight for i, weight in enumerate(model.get_weights())}


def main(settings: dict[str, Any]) -> None:
    """Runs each of the settings' configs and saves what came out."""
    of_all, replicas = np.load(settings["batch"]), settings["replicas"]
    parts = (np.array_split(of_all[name], replicas) for name in ("rows", "weights"))
    shares, shared = list(zip(*parts, strict=True)), strategy(replicas)
    for name, config in settings["configs"].items():
        np.savez(f"{settings['output']}-{name}.npz", **run_steps(config, shares, shared))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
