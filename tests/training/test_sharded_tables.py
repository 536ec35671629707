"""Tables on two parameter servers against the same training in one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROCESS = Path(__file__).parent / "sharded_process.py"
WHOLE = 2000  # one batch holds all examples, so that their order says nothing


def trained(folder: Path, workers: int, batch_size: int, optimizer: str) -> dict[str, np.ndarray]:
    """What `sharded_process.py` found."""
    output = folder / f"{workers}_{optimizer}.npz"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [str(output), str(workers), str(batch_size), optimizer]
    subprocess.run([sys.executable, PROCESS, *arguments], check=True, env=environment, timeout=200)
    with np.load(output) as found:
        return dict(found)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["Adam", "semid_tf>RowwiseAdagrad"])
def test_one_worker_and_two_servers_train_as_one_process(optimizer: str, tmp_path: Path) -> None:
    here = trained(tmp_path, 0, WHOLE, optimizer)
    sharded = trained(tmp_path, 1, WHOLE, optimizer)
    assert [device.split("/")[1:4:2] for device in sharded["devices"]] == [
        ["job:ps", "task:0"],
        ["job:ps", "task:1"],
    ]
    for name in ("table", "scores"):
        np.testing.assert_allclose(sharded[name], here[name], rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["Adam", "from shards"])
def test_two_workers_learn_at_the_same_time(how: str, tmp_path: Path) -> None:
    scores = trained(tmp_path, 2, 64, how)["scores"]
    assert np.mean(scores[:, 0] > scores[:, 1]) > 0.95
