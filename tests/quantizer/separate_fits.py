"""Fits in processes of their own."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import semid_tf as sid

_PROCESS = Path(__file__).with_name("fit_process.py")
_ROOT = _PROCESS.parents[2]


def start(
    folder: Path,
    name: str,
    embeddings: Path,
    config: sid.RQVAEConfig,
    cluster: dict | None = None,
    **settings: Any,
) -> subprocess.Popen:
    """Starts a fit in a process of its own; see `fit_process.py`."""
    asked = {
        "embeddings": str(embeddings),
        "config": dataclasses.asdict(config),
        "output": str(folder / f"{name}.npz"),
    }
    (folder / f"{name}.json").write_text(json.dumps(asked | settings))
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    environment |= {} if cluster is None else {"TF_CONFIG": json.dumps(cluster)}
    command = [sys.executable, str(_PROCESS), str(folder / f"{name}.json")]
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def finish(process: subprocess.Popen, folder: Path, name: str) -> dict[str, np.ndarray]:
    """Waits for a fit and reads what it saved."""
    status = process.wait(timeout=200)
    assert status == 0, (folder / f"{name}.log").read_text()[-3000:]
    return dict(np.load(folder / f"{name}.npz"))
