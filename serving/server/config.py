"""Settings of the local server. Models are described as for TensorFlow Serving, by a `ModelServerConfig`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2 as configs

import semid_tf as sid

_PLATFORM = "tensorflow"


@dataclass(frozen=True)
class ServerConfig:
    """How the local server runs.

    Attributes:
        host: address to listen at; other machines reach it only if this is changed.
        grpc_port, rest_port: 0 = any free port.
        tls_cert, tls_key: PEM files; given both, gRPC and REST speak TLS only.
        max_message_mb: a larger gRPC message is RESOURCE_EXHAUSTED, a larger HTTP body is 413; of all bodies
            together no more than sixteen times as much is held, further ones are UNAVAILABLE.
        max_candidates: most elements of the first two dimensions of an input together.
        max_in_flight: further requests are UNAVAILABLE at once.
        max_batch: most rows (first dimension) that run together; 1 = no batching.
        workers: batches that run at the same time.
        poll_s: seconds between looks for new versions.
        header_timeout_s: within which a connection's next HTTP header must have come; else it is closed.
        body_timeout_s: within which an HTTP body must have come.
        drain_s: requests under way have so long to end when the server stops.
    """

    host: str = "127.0.0.1"
    grpc_port: int = 8500
    rest_port: int = 8501
    tls_cert: str = ""
    tls_key: str = ""
    max_message_mb: int = 16
    max_candidates: int = 100_000
    max_in_flight: int = 256
    max_batch: int = 8
    workers: int = 2
    poll_s: float = 1.0
    header_timeout_s: float = 60.0
    body_timeout_s: float = 30.0
    drain_s: float = 30.0

    def __post_init__(self) -> None:
        for name in ("max_message_mb", "max_candidates", "max_in_flight", "max_batch", "workers"):
            if getattr(self, name) < 1:
                raise sid.ConfigError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise sid.ConfigError("TLS needs both tls_cert and tls_key; got one of them.")


def address_of(host: str, port: int) -> str:
    """Host and port in one.

    >>> address_of("localhost", 8500), address_of("::1", 8500)
    ('localhost:8500', '[::1]:8500')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def require_base_path(path: str | Path) -> None:
    """Checks that a folder is one that holds version folders, or will.

    Raises:
        ConfigError: it is no folder, or a version's own.
    """
    if not Path(path).is_dir():
        raise sid.ConfigError(f"{path} is no folder; give the one that holds the version folders 1, 2, ...")
    if (Path(path) / "saved_model.pb").is_file():
        raise sid.ConfigError(f"{path} is the folder of one version; give the one above it.")


def one_model(name: str, base_path: str | Path) -> configs.ModelServerConfig:
    """The latest version of one model."""
    config = configs.ModelServerConfig()
    config.model_config_list.config.add(
        name=name, base_path=str(Path(base_path).absolute()), model_platform=_PLATFORM
    )
    return config


def read_models(path: str | Path) -> configs.ModelServerConfig:
    """Reads TensorFlow Serving's `model_config_file`.

    Raises:
        ConfigError: it is no such file, or names a model twice or without a folder.
    """
    try:
        config = text_format.Parse(Path(path).read_text(encoding="utf-8"), configs.ModelServerConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise sid.ConfigError(f"{path} is no model configuration: {error}") from error
    require_models(config)
    return config


def require_models(config: configs.ModelServerConfig) -> None:
    """Checks names, folders and platforms.

    Raises:
        ConfigError: a name comes twice, a name or folder is missing, or a platform is not TensorFlow's.
    """
    seen: set[str] = set()
    for model in config.model_config_list.config:
        if not model.name or not model.base_path:
            raise sid.ConfigError(f"model {model.name!r} needs both a name and a base_path.")
        if model.model_platform != _PLATFORM:
            raise sid.ConfigError(f'model {model.name!r} needs model_platform: "{_PLATFORM}".')
        if model.name in seen:
            raise sid.ConfigError(f"model {model.name!r} is named twice; names must be unique.")
        seen.add(model.name)
