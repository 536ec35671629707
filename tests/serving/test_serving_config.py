"""The configuration files say what TensorFlow Serving and the local server read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import semid_tf as sid
from semid_tf.cli import app
from serving.docker import IMAGE, docker_command
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


def test_the_image_is_not_older_than_the_tensorflow_that_exports() -> None:
    """Neither may an export need ops that the server has not, whatever is installed of the range."""
    (below,) = re.findall(r'"tensorflow>=[\d.]+,<(\d+)\.(\d+)"', (CONFIG.parents[1] / "setup.py").read_text())
    (image,) = re.findall(r":(\d+)\.(\d+)\.\d+$", IMAGE)
    assert tuple(map(int, image)) >= (int(below[0]), int(below[1]) - 1)


def test_kubernetes_waits_for_models_and_reads_their_configuration_anew() -> None:
    deployment, _ = yaml.safe_load_all((CONFIG / "kubernetes.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    probe = container["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 300
    assert any(one.startswith("--model_config_file_poll_wait_seconds=") for one in container["args"])


def test_an_ipv6_address_is_bracketed() -> None:
    command = docker_command("ranker", "/models/ranker", "::1", 8500, 8501, "serving:x")
    assert "[::1]:8500:8500" in command
    assert "serving:x" in command


def test_the_docker_command_is_printed_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "ranker").mkdir()
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
            'model_config_list { config { name: "a" base_path: "/a" } }',
            "model 'a' needs model_platform: \"tensorflow\"",
        ),
        (
            """model_config_list { config { name: "a" base_path: "/a" model_platform: "tensorflow" }
                                   config { name: "a" base_path: "/b" model_platform: "tensorflow" } }""",
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
