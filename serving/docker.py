"""The command that serves a model with TensorFlow Serving's official image."""

from __future__ import annotations

from pathlib import Path

from serving.server.config import address_of

IMAGE = "tensorflow/serving:2.21.0"


def docker_command(
    name: str, base_dir: str | Path, host: str, grpc_port: int, rest_port: int, image: str = IMAGE
) -> list[str]:
    """Arguments of `docker`, itself first.

    >>> " ".join(docker_command("ranker", "/models/ranker", "127.0.0.1", 8500, 8501))[:62]
    'docker run --rm --name semid-ranker -p 127.0.0.1:8500:8500 -p '
    """
    config = Path(__file__).with_name("config") / "monitoring.config"
    return [
        *("docker", "run", "--rm", "--name", f"semid-{name}"),
        *("-p", f"{address_of(host, grpc_port)}:8500", "-p", f"{address_of(host, rest_port)}:8501"),
        *("-v", f"{Path(base_dir).absolute()}:/models/{name}:ro"),
        *("-v", f"{config.absolute()}:/config/monitoring.config:ro"),
        *("-e", f"MODEL_NAME={name}"),
        image,
        "--monitoring_config_file=/config/monitoring.config",
    ]
