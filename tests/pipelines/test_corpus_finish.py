"""An encode job that nobody waits for: its output is none until it is finished, and then like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import HadoopFileSystemOptions
from mapped_files import MappedFiles
from test_corpus_encode import Corpus, parts

from pipelines import encode, finish


def report_of(folder: Path) -> dict[str, object]:
    report = json.loads((folder / "report.json").read_text())
    return {name: report[name] for name in report if name not in ("seconds", "changed", "deleted")}


def test_a_started_job_is_published_when_it_is_finished(
    quantizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MappedFiles.root = tmp_path
    corpus, here = Corpus(tmp_path), tmp_path / "here"
    flags = ["--items", corpus.pattern, "--quantizer", str(quantizer), "--num_shards=2"]
    assert encode.main([*flags, "--output", str(here)]) == 0
    told = capsys.readouterr().out.splitlines()

    # The local runner is done when it returns; the output is none yet.
    output = ["--output", "mapped://there"]
    assert encode.main([*flags, *output, "--no_wait_until_finish"]) == 0
    assert capsys.readouterr().out.endswith("python -m pipelines.finish --output mapped://there\n")
    assert not list((tmp_path / "there").glob("[!s]*.*")) + list((tmp_path / "there").glob("COMPLETED"))

    part = tmp_path / "there/codes/part-00001-of-00002.parquet"
    part.rename(tmp_path / "away")
    assert finish.main(output) == 2
    assert capsys.readouterr().err.startswith("error: mapped://there lacks parts (")
    (tmp_path / "away").rename(part)
    (part.parent / ".attempt-1").write_bytes(b"of a worker that died")

    FileSystems.set_options(None)
    assert finish.main([*output, "--hdfs_host=there"]) == 0
    assert FileSystems._pipeline_options.view_as(HadoopFileSystemOptions).hdfs_host == "there"
    assert capsys.readouterr().out.splitlines()[:-1] == told[:-1]
    assert parts(tmp_path / "there") == parts(here)
    assert {path.name for path in part.parent.iterdir()} == {path.name for path in (here / "codes").iterdir()}
    assert report_of(tmp_path / "there") == report_of(here)
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (here, tmp_path / "there")]
    assert manifests[0]["fingerprint"] == manifests[1]["fingerprint"]
    assert (tmp_path / "there/COMPLETED").exists()

    assert finish.main(output) == 2
    assert "exists and is never overwritten" in capsys.readouterr().err


def test_only_a_started_job_can_be_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert finish.main(["--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/started.json is missing; name the output of a job that was started.\n"
    )
