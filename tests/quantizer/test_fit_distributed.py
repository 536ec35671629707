"""A fit under a distribution strategy ends with the same weights on every replica, those of one replica."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import semid_tf as sid

PROCESS = Path(__file__).with_name("fit_process.py")
ROOT = PROCESS.parents[2]
# 403 items: the last batch of an epoch has 19, which two replicas cannot share evenly. Codes are revived.
CONFIG = sid.RQVAEConfig(
    num_levels=2,
    codebook_size=16,
    latent_dim=4,
    hidden_dim=8,
    epochs=3,
    batch_size=128,
    kmeans_iterations=3,
    revive_after_steps=2,
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of embeddings and of weights."""
    folder = tmp_path_factory.mktemp("inputs")
    np.save(folder / "embeddings.npy", sid.synthetic_items(403, dim=8, seed=1).embeddings)
    np.save(folder / "weights.npy", np.random.default_rng(0).integers(1, 5, 403).astype(np.float32))
    return {name: str(folder / f"{name}.npy") for name in ("embeddings", "weights")}


def start(
    folder: Path, inputs: dict[str, str], name: str, cluster: dict | None = None, **changes: Any
) -> Any:
    """Starts a fit in a process of its own."""
    settings = {
        **inputs,
        "config": dataclasses.asdict(CONFIG),
        "checkpoints": None,
        "checkpoint_steps": 0,
        "kill_after": 0,
        "output": str(folder / f"{name}.npz"),
    }
    (folder / f"{name}.json").write_text(json.dumps(settings | changes))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_NUM_INTRAOP_THREADS": "1"}
    environment |= {} if cluster is None else {"TF_CONFIG": json.dumps(cluster)}
    command = [sys.executable, str(PROCESS), str(folder / f"{name}.json")]
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def finish(process: Any, folder: Path, name: str) -> dict[str, np.ndarray]:
    """Waits for a fit and reads its weights."""
    status = process.wait(timeout=200)
    assert status == 0, (folder / f"{name}.log").read_text()[-3000:]
    return dict(np.load(folder / f"{name}.npz"))


def free_port() -> int:
    """A port of this machine."""
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


def test_two_workers_end_as_one(inputs: dict[str, str], tmp_path: Path) -> None:
    workers = [f"localhost:{free_port()}" for _ in range(2)]
    clusters = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": i}} for i in range(2)]
    checkpoints = str(tmp_path / "checkpoints")
    processes = [
        start(tmp_path, inputs, f"worker_{i}", clusters[i], checkpoints=checkpoints) for i in range(2)
    ]
    first, second = (finish(process, tmp_path, f"worker_{i}") for i, process in enumerate(processes))
    alone = finish(start(tmp_path, inputs, "alone"), tmp_path, "alone")
    assert first.keys() == second.keys() == alone.keys()
    for name, weight in first.items():
        np.testing.assert_array_equal(weight, second[name], err_msg=name)
        np.testing.assert_allclose(weight, alone[name], rtol=1e-3, atol=1e-4, err_msg=name)
