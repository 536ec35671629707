"""A fit under a distribution strategy ends with the same weights on every replica, those of one replica."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from free_ports import free_port
from separate_fits import finish, start

import semid_tf as sid

# 403 items: the last batch of an epoch has 19, which replicas cannot share evenly. Codes are revived.
CONFIG = sid.RQVAEConfig(
    num_levels=2,
    codebook_size=16,
    latent_dim=4,
    hidden_dim=8,
    epochs=3,
    batch_size=128,
    kmeans_iterations=3,
    revive_after_steps=1,
)


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of embeddings."""
    path = tmp_path_factory.mktemp("inputs") / "embeddings.npy"
    np.save(path, sid.synthetic_items(403, dim=8, seed=1).embeddings)
    return path


@pytest.fixture(scope="module")
def alone(embeddings: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What one replica ends with."""
    folder = tmp_path_factory.mktemp("alone")
    return finish(start(folder, "alone", embeddings, CONFIG, weighted=True), folder, "alone")


def assert_like(found: dict[str, np.ndarray], alone: dict[str, np.ndarray]) -> None:
    """Equal figures and weights, up to the order of sums."""
    assert found.keys() == alone.keys()
    assert found["revived"] == alone["revived"] > 0
    for name, value in found.items():
        np.testing.assert_allclose(value, alone[name], rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_two_workers_end_as_one(embeddings: Path, alone: dict[str, np.ndarray], tmp_path: Path) -> None:
    workers = [f"localhost:{free_port()}" for _ in range(2)]
    settings = {"weighted": True, "checkpoints": str(tmp_path / "checkpoints")}
    fits = []
    for i in range(2):
        cluster = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": i}}
        fits.append(start(tmp_path, f"worker_{i}", embeddings, CONFIG, cluster, **settings))
    first, second = (finish(fit, tmp_path, f"worker_{i}") for i, fit in enumerate(fits))
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    assert_like(first, alone)


def test_three_replicas_end_as_one(embeddings: Path, alone: dict[str, np.ndarray], tmp_path: Path) -> None:
    mirrored = start(tmp_path, "mirrored", embeddings, CONFIG, weighted=True, replicas=3)
    assert_like(finish(mirrored, tmp_path, "mirrored"), alone)
