"""A synthetic catalogue as Parquet files, a configuration that is quick, and the command on both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import semid_tf as sid

NUM_ITEMS, DIM = 600, 16
SETTINGS: dict[str, dict[str, Any]] = {
    "data": {"num_windows": 10, "history_length": 10, "num_negatives": 2},
    "quantizer": {
        "num_levels": 2,
        "codebook_size": 16,
        "latent_dim": 8,
        "hidden_dim": 8,
        "epochs": 1,
        "kmeans_iterations": 5,
    },
    "tokenization": {"table_rows": 64},
    "ranker": {"dim": 8, "hidden_dims": [8], "epochs": 1},
    "evaluation": {"bootstrap_samples": 20},
}
# What the console script does, without needing the script.
COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'semid'; from semid_tf.cli import main; main()"]


def write_world(folder: Path) -> None:
    """Writes `items.parquet` and `interactions.parquet`."""
    items = sid.synthetic_items(NUM_ITEMS, DIM, seed=0)
    sid.write_tables(folder, items, sid.synthetic_interactions(items, 200, 20, seed=0))


def write_config(path: Path, world: Path, output: Path, **changes: dict[str, Any]) -> Path:
    """Writes a configuration: the settings above, with changes by part."""
    files = {name: str(world / f"{name}.parquet") for name in ("items", "interactions")}
    parts = {name: dict(values) for name, values in SETTINGS.items()}
    parts["data"] |= files
    for name, values in changes.items():
        parts.setdefault(name, {}).update(values)
    lines = [f"output = {json.dumps(str(output))}"]
    for name, values in parts.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def start(*arguments: str | Path) -> subprocess.Popen:
    """The command in a process of its own, as a user has it: without the settings of the tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    command = [*COMMAND, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, encoding="utf-8", env=environment)


def tree(root: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and folder below a root, with what changes when it is written anew."""
    paths = [(path, path.stat()) for path in sorted(root.rglob("*"))]
    return {
        str(p.relative_to(root)): (s.st_ino, s.st_mtime_ns, s.st_size) for p, s in paths if not p.is_dir()
    }
