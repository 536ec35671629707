"""What Dataflow needs, as far as it can be checked without an account: job graph, image, template."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from small_quantizer import CODES, DIM, FINGERPRINT, LEVELS

import semid_tf as sid
from pipelines import encode
from pipelines.encoding import QuantizerHandler
from pipelines.sources import ReadItems
from pipelines.transforms import EncodeItems, WriteDoors

ROOT = Path(__file__).parents[2]
FILES = ROOT / "pipelines" / "dataflow"
TEMPLATE = FILES / "template.json"
BUCKET = "gs://semid-bucket"
IMAGE = "example/semid:1"
#: Those of the command in docs/scale.md, and nothing is submitted.
OPTIONS = [
    "--runner=DataflowRunner",
    "--project=semid-project",
    "--region=europe-west1",
    f"--temp_location={BUCKET}/tmp",
    f"--staging_location={BUCKET}/staging",
    "--dry_run=True",
]


def job_environments(*options: str) -> dict[str, list[str]]:
    """Builds the Dataflow job of an encode run: its container images and the packages that it stages."""
    pytest.importorskip("google.cloud.dataflow", reason="google-cloud-dataflow-client is missing")
    pipeline = beam.Pipeline(options=PipelineOptions([*OPTIONS, *options]))
    handler = QuantizerHandler(
        f"{BUCKET}/quantizer", FINGERPRINT, sid.CodeSpace(LEVELS, CODES), datetime.now(UTC)
    )
    items = pipeline | "Read" >> ReadItems(f"{BUCKET}/items/*.parquet")
    items | "Encode" >> EncodeItems(handler, DIM, 2) | "Write" >> WriteDoors(f"{BUCKET}/codes", 2)
    graph = pipeline.run().job.proto_pipeline
    names = {transform.unique_name for transform in graph.components.transforms.values()}
    assert {"Read/MatchFiles", "Encode/RunInference", "Write/WriteCodes", "Write/WriteRejected"} <= names
    return {
        environment.payload.decode(errors="replace").strip(): [
            artifact.role_payload.decode(errors="replace") for artifact in environment.dependencies
        ]
        for environment in graph.components.environments.values()
    }


def test_the_job_graph_runs_in_the_custom_image() -> None:
    ((image, staged),) = job_environments(f"--sdk_container_image={IMAGE}").items()
    assert IMAGE in image
    assert not any("workflow.tar.gz" in name for name in staged)


def test_without_an_image_the_workers_get_the_sdist() -> None:
    ((image, staged),) = job_environments(f"--setup_file={ROOT / 'setup.py'}").items()
    assert "beam_python3.11_sdk:2.77.0" in image
    assert any("workflow.tar.gz" in name for name in staged)


def test_the_template_has_the_options_of_the_job() -> None:
    parameters = {it["name"]: it for it in json.loads(TEMPLATE.read_text())["metadata"]["parameters"]}
    options = {action.dest: action for action in encode._parser()._actions if action.dest != "help"}
    assert set(parameters) == set(options)
    for name, option in options.items():
        assert parameters[name].get("isOptional", False) is not option.required
    (pattern,) = parameters["items"]["regexes"]
    assert re.fullmatch(pattern, f"{BUCKET}/items/*.parquet") and not re.fullmatch(pattern, "items.parquet")


def test_the_template_is_one_to_dataflow() -> None:
    dataflow = pytest.importorskip("google.cloud.dataflow", reason="google-cloud-dataflow-client is missing")
    spec = dataflow.ContainerSpec.from_json(TEMPLATE.read_text())
    assert spec.sdk_info.language == dataflow.SDKInfo.Language.PYTHON
    assert spec.image == spec.default_environment.sdk_container_image == "IMAGE"


def test_the_image_has_the_locked_versions_and_all_files() -> None:
    text = (FILES / "Dockerfile").read_text()
    (beam_version,) = re.findall(r"^apache-beam==(.*)$", (ROOT / "requirements.lock").read_text(), re.M)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"FROM apache/beam_python{python}_sdk:{beam_version}\n" in text
    assert f'"apache-beam[gcp]=={beam_version}"' in text
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M)
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {name for line in copied for name in line.split()} == sent
    assert all((ROOT / name).exists() for name in sent)
    (start,) = re.findall(r"^ENV FLEX_TEMPLATE_PYTHON_PY_FILE=/semid/(.*)$", text, re.M)
    assert (ROOT / start).exists()
