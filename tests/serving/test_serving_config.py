"""The configuration files say what TensorFlow Serving and the local server read."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import semid_tf as sid
from semid_tf.cli import app
from serving.docker import IMAGE
from serving.server import metrics
from serving.server.config import ServerConfig, read_models

CONFIG = Path(__file__).parents[2] / "serving" / "config"


def test_the_model_configuration_is_read_and_its_labels_name_served_versions() -> None:
    (model,) = read_models(CONFIG / "models.config").model_config_list.config
    assert model.name == "ranker"
    assert dict(model.version_labels) == {"stable": 1, "canary": 2}
    assert set(model.version_labels.values()) <= set(model.model_version_policy.specific.versions)


def test_every_file_names_one_image_and_one_path_of_metrics() -> None:
    compose = yaml.safe_load((CONFIG / "docker-compose.yml").read_text())
    deployment, service = yaml.safe_load_all((CONFIG / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]
    assert compose["services"]["serving"]["image"] == pod["spec"]["containers"][0]["image"] == IMAGE
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    scraped = yaml.safe_load((CONFIG / "prometheus.yml").read_text())["scrape_configs"][0]["metrics_path"]
    assert scraped == pod["metadata"]["annotations"]["prometheus.io/path"] == metrics.PATH
    assert f'path: "{metrics.PATH}"' in (CONFIG / "monitoring.config").read_text()


def test_the_docker_command_is_printed_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(app, ["serve", "--docker", str(tmp_path / "ranker")])
    assert done.exit_code == 2
    assert "docker is not installed here" in done.stderr
    (line,) = done.stdout.splitlines()
    for part in (
        f"-v {tmp_path}/ranker:/models/ranker:ro",
        "-e MODEL_NAME=ranker",
        "-p 127.0.0.1:8500:8500",
        IMAGE,
    ):
        assert part in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_config_list { config { name: 1 } }", "is no model configuration"),
        ('model_config_list { config { name: "a" } }', "needs both a name and a base_path"),
        (
            'model_config_list { config { name: "a" base_path: "/a" } config { name: "a" base_path: "/b" } }',
            "model 'a' is named twice",
        ),
    ],
)
def test_a_wrong_model_configuration_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "models.config").write_text(text)
    with pytest.raises(sid.ConfigError, match=message):
        read_models(tmp_path / "models.config")


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(sid.ConfigError, match="max_batch must be at least 1, got 0"):
        ServerConfig(max_batch=0)
    with pytest.raises(sid.ConfigError, match="TLS needs both tls_cert and tls_key"):
        ServerConfig(tls_cert="cert.pem")
