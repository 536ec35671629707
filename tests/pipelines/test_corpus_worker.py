"""The encode job on a worker in a process of its own that has only what the sdist installs."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from mapped_files import MappedFiles
from test_corpus_encode import Corpus, parts

from pipelines.encode import encode_corpus, publish_corpus

ROOT = Path(__file__).parents[2]
# As Dataflow's worker does, it takes jobs from a runner; it says where, and where its code comes from.
WORKER = """
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
import pipelines.transforms, semid_tf
address, server = BeamFnExternalWorkerPoolServicer.start()
print(address, pipelines.__file__, semid_tf.__file__, flush=True)
server.wait_for_termination()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, made as Beam makes it of `--setup_file`, and installed."""
    made, target = tmp_path_factory.mktemp("sdist"), tmp_path_factory.mktemp("installed")
    sdist = ["setup.py", "-q", "egg_info", "--egg-base", made, "sdist", "--dist-dir", made]
    subprocess.run([sys.executable, *sdist], cwd=ROOT, check=True)
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", target]
    subprocess.run([sys.executable, *install, *made.glob("*.tar.gz")], check=True)
    return target


@pytest.fixture(scope="module")
def worker(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a worker without the repository: -S leaves out editable installations."""
    path = os.pathsep.join([str(installed), sysconfig.get_paths()["purelib"]])
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", WORKER],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path_factory.mktemp("elsewhere"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    with process, process.stdout:
        address, *modules = process.stdout.readline().split()
        assert [Path(it).parent.parent for it in modules] == [installed, installed]
        yield address
        process.kill()


def test_a_worker_with_the_sdist_alone_gives_the_local_output(
    worker: str, quantizer: Path, tmp_path: Path
) -> None:
    corpus = Corpus(tmp_path)
    portable = ["--runner=PortableRunner", "--job_endpoint=embed"]
    options = PipelineOptions([*portable, "--environment_type=EXTERNAL", f"--environment_config={worker}"])
    encode_corpus(corpus.pattern, quantizer, tmp_path / "there", options, num_shards=2)
    encode_corpus(corpus.pattern, quantizer, tmp_path / "here", num_shards=2)
    assert parts(tmp_path / "there") == parts(tmp_path / "here")


def test_the_quantizer_may_lie_elsewhere(quantizer: Path, tmp_path: Path) -> None:
    MappedFiles.root = quantizer.parent
    corpus, elsewhere = Corpus(tmp_path), f"mapped://{quantizer.name}"
    publish_corpus(corpus.pattern, elsewhere, tmp_path / "far", num_shards=2)
    publish_corpus(corpus.pattern, quantizer, tmp_path / "near", num_shards=2)
    assert parts(tmp_path / "far") == parts(tmp_path / "near")
