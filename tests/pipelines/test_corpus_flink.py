"""The encode job on a real Flink cluster: the local output row for row, also if a task manager dies."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from small_quantizer import DIM, NearestCodewords, publish_quantizer
from test_corpus_encode import Corpus, parts

import semid_tf as sid
from pipelines.encode import encode_corpus
from pipelines.flink.__main__ import main
from pipelines.flink.cluster import FlinkCluster, local_cluster
from pipelines.flink.java import has_flink

FLINK_HOME = Path(os.environ.get("FLINK_HOME", Path(__file__).parents[2] / "build/flink")).absolute()
needs_flink = pytest.mark.skipif(
    not has_flink(FLINK_HOME),
    reason=f"{FLINK_HOME} has no Flink (make flink), or Java is missing",
)
SHARDS = 3


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def local_output(corpus: Corpus, quantizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    encode_corpus(corpus.pattern, quantizer, folder, num_shards=SHARDS)
    return folder


def test_without_flink_one_line_names_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLINK_HOME", str(tmp_path))
    assert main(["--items=i", "--quantizer=q", "--output=o"]) == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/lib has no flink-dist-*.jar; run `make flink`, or let FLINK_HOME name a Flink "
        "distribution.\n"
    )


def test_a_cluster_has_a_task_manager(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--items=i", "--quantizer=q", "--output=o", "--task_managers=0"]) == 2
    assert capsys.readouterr().err == "error: task_managers must be at least 1, got 0.\n"


@needs_flink
@pytest.mark.timeout(600)
def test_the_documented_command_gives_the_local_output(
    corpus: Corpus, quantizer: Path, local_output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLINK_HOME", str(FLINK_HOME))
    output = tmp_path / "codes"
    flags = ["--items", corpus.pattern, "--quantizer", str(quantizer), "--output", str(output)]
    assert main([*flags, f"--num_shards={SHARDS}"]) == 0
    assert parts(output) == parts(local_output)
    report = sid.open_artifact(output, "codes").manifest.metrics
    assert (report["input"], report["rejected"]) == (5_300, len(corpus.rejected()))


class Slow(NearestCodewords):
    """The same codes after a while, and a sign that encoding has begun."""

    def __init__(self, sign: Path) -> None:
        super().__init__()
        self._sign = str(sign)

    @tf.function(input_signature=[tf.TensorSpec((None, DIM), tf.float32, "embedding")])
    def encode(self, embedding: tf.Tensor) -> dict[str, tf.Tensor]:
        tf.io.write_file(self._sign, "encoding")
        heavy = tf.ones((1_000, 1_000)) * tf.reduce_mean(embedding)
        for _ in tf.range(40):
            heavy = tf.tanh(heavy @ heavy)
        never = tf.cast(tf.math.is_nan(heavy[0, 0]), tf.int32)
        return {"codes": super().encode(embedding)["codes"] + never}


def kill_one_when(sign: Path, cluster: FlinkCluster) -> None:
    while not sign.exists():
        time.sleep(0.1)
    cluster.task_managers[0].kill()


@needs_flink
@pytest.mark.timeout(600)
def test_a_task_manager_dies_and_the_output_is_whole(
    corpus: Corpus, local_output: Path, tmp_path: Path
) -> None:
    sign, output = tmp_path / "sign", tmp_path / "output"
    slow = publish_quantizer(Slow(sign), tmp_path / "slow")
    with local_cluster(FLINK_HOME) as cluster:
        killer = threading.Thread(target=kill_one_when, args=(sign, cluster), daemon=True)
        killer.start()
        options = PipelineOptions(cluster.beam_options)
        report = encode_corpus(corpus.pattern, slow, output, options, num_shards=SHARDS)
        (job,) = cluster.ask("/jobs")["jobs"]
        failures = cluster.ask(f"/jobs/{job['id']}/exceptions")["exceptionHistory"]["entries"]
        assert (job["status"], cluster.ask("/overview")["taskmanagers"]) == ("FINISHED", 1)
    assert failures
    assert parts(output) == parts(local_output)
    assert report["input"] == 5_300 == report["encoded"] + report["rejected"]
