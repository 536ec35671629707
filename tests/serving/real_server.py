"""Runs the client's contract tests against TensorFlow Serving in Docker: `make tfserving-contract`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tiny_models import publish_tiny

from serving.client import Client
from serving.docker import docker_command

_HERE = Path(__file__).parent
_GRPC, _REST = 18500, 18501


def main() -> int:
    """Exit status of the tests."""
    with tempfile.TemporaryDirectory() as root:
        publish_tiny(Path(root), 1, 2.0)
        server = subprocess.Popen(docker_command("tiny", root, "127.0.0.1", _GRPC, _REST))
        try:
            with Client(f"grpc://127.0.0.1:{_GRPC}", timeout_s=120, attempts=200) as client:
                client.status("tiny")
            time.sleep(1)
            urls = {"GRPC": f"grpc://127.0.0.1:{_GRPC}", "REST": f"http://127.0.0.1:{_REST}"}
            named = {f"SEMID_TFSERVING_{name}": url for name, url in urls.items()}
            command = [sys.executable, "-m", "pytest", "-q", str(_HERE / "test_client.py")]
            return subprocess.run(command, env=os.environ | named).returncode
        finally:
            subprocess.run(["docker", "stop", "semid-tiny"], check=False)
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
