"""A step that replicas share is that of one replica: loss, averages, and which items revive codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROCESS = Path(__file__).with_name("steps_process.py")
CONFIG = {"num_levels": 2, "codebook_size": [8, 4], "latent_dim": 3, "hidden_dim": 4, "batch_size": 31}
VARIANTS = {
    "gradient": {"revive_after_steps": 1},
    "averages": {"revive_after_steps": 2, "codebook_update": "ema", "ema_decay": 0.5},
    "progressive": {"revive_after_steps": 1, "assignment": "cosine", "progressive_levels": True},
}
# All rows of the first of two replicas weigh 0; were one drawn or counted, its 1e4 would be seen.
WEIGHTS = (np.arange(31) % 4 * (np.arange(31) >= 16)).astype(np.float32)


def run_steps(folder: Path, replicas: int) -> None:
    """All variants in a process of its own."""
    rows = np.random.default_rng(0).normal(size=(31, 5)).astype(np.float32)
    rows[WEIGHTS == 0] = 1e4
    np.savez(folder / "batch.npz", rows=rows, weights=WEIGHTS)
    configs = {name: CONFIG | variant for name, variant in VARIANTS.items()}
    settings = {"batch": str(folder / "batch.npz"), "replicas": replicas, "configs": configs}
    path = folder / f"{replicas}.json"
    path.write_text(json.dumps(settings | {"output": str(folder / str(replicas))}))
    environment = {**os.environ, "PYTHONPATH": str(PROCESS.parents[2])}
    command = [sys.executable, str(PROCESS), str(path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the steps of one replica and of two are saved."""
    folder = tmp_path_factory.mktemp("steps")
    for replicas in (1, 2):
        run_steps(folder, replicas)
    return folder


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_replicas_learn_as_one(variant: str, steps: Path) -> None:
    alone, two = (dict(np.load(steps / f"{replicas}-{variant}.npz")) for replicas in (1, 2))
    assert sum(alone[f"revived_{step}_0"].sum() for step in range(3)) > 0
    for step in range(3):
        assert (alone[f"code_counts_{step}_0"].sum(axis=1) == (WEIGHTS > 0).sum()).all()
    for name, value in alone.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-3, atol=1e-5, err_msg=name)
    for name in two.keys() - alone.keys():  # as the second replica says it
        np.testing.assert_array_equal(two[name], two[name.removesuffix("1") + "0"], err_msg=name)
