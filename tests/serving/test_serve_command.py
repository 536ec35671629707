"""`semid serve` as a process: start, kill -9 and restart, stop, mistakes in one line."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from tiny_models import publish_tiny

CONFIG = Path(__file__).parents[2] / "serving" / "config"
COMMAND = [sys.executable, "-c", "from semid_tf.cli import main; main()", "serve"]
PORTS = ["--grpc-port", "0", "--rest-port", "0"]


@contextlib.contextmanager
def serving(root: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """The process and its REST address."""
    with (root / "log").open("w") as log:
        process = subprocess.Popen(
            [*COMMAND, str(root), "--name", "tiny", *PORTS],
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    try:
        line = process.stdout.readline()
        assert line.startswith("serving: gRPC 127.0.0.1:"), line
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def ask(address: str) -> list:
    """The prediction for 1."""
    answer = requests.post(f"http://{address}/v1/models/tiny:predict", json={"inputs": [[1.0]]}, timeout=20)
    return answer.json()["outputs"]


def test_killed_and_started_again_it_serves_the_last_whole_version(tmp_path: Path) -> None:
    publish_tiny(tmp_path, 1, 2.0)
    publish_tiny(tmp_path, 2, 5.0)
    with serving(tmp_path) as (process, address):
        assert ask(address) == [[5.0]]
        process.send_signal(signal.SIGKILL)
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "saved_model.pb").write_bytes(b"half of i")
    (tmp_path / ".staging-1-x").mkdir()
    with serving(tmp_path) as (process, address):
        assert ask(address) == [[5.0]]
        log = (tmp_path / "log").read_text()
        assert "\ntiny: version 3 is refused: " in f"\n{log}"
        assert "\ntiny: version 2 is loaded\n" in log
        process.terminate()
        started = time.monotonic()
        assert process.wait(20) == 0
        assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either MODEL_BASE_DIR or --config."),
        (["--config", "models.config", "--name", "ranker"], "--name is that of MODEL_BASE_DIR"),
        (["missing"], "missing is no folder; give the one that holds the version folders 1, 2"),
        (
            [str(CONFIG), "--docker", "--drain", "5"],
            "--docker takes one MODEL_BASE_DIR, no TLS and",
        ),
        ([str(CONFIG), "--max-in-flight", "0"], "max_in_flight must be at least 1, got 0"),
        (["--config", "missing.config"], "No such file or directory: 'missing.config'"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str) -> None:
    from click.testing import CliRunner

    from semid_tf.cli import app

    done = CliRunner().invoke(app, ["serve", *arguments])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr


def test_a_versions_own_folder_is_no_base_path(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from semid_tf.cli import app

    version = publish_tiny(tmp_path, 1, 2.0)
    done = CliRunner().invoke(app, ["serve", str(version)])
    assert done.stderr == f"semid: error: {version} is the folder of one version; give the one above it.\n"
