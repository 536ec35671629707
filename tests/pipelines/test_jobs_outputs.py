"""The jobs over published codes write to any Beam file system what they write to a local folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from mapped_files import MappedFiles
from small_catalogue import events, publish_codes, write_events
from small_quantizer import LEVELS

import semid_tf as sid
from pipelines import code_corpus, collision_tokens, merges, ranking_examples, statistics
from pipelines.example_files import read_ranking_examples
from pipelines.outputs import new_output

Job = tuple[Callable[[list[str]], int], list[str]]


@pytest.fixture(scope="module")
def jobs(quantizer: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """Each job and its flags but for the output."""
    folder = tmp_path_factory.mktemp("catalogue")
    codes, pattern = publish_codes(quantizer, folder), write_events(events(300), folder / "events")
    both = ["--codes", str(codes), "--interactions", pattern]
    return {
        "code_corpus": (code_corpus.main, [*both, "--rows", "80"]),
        "ranking_examples": (ranking_examples.main, [*both, "--num_shards", "2"]),
        "statistics": (statistics.main, ["--codes", str(codes), "--previous", str(codes)]),
        "codes": (collision_tokens.main, ["--codes", str(codes)]),
        "tokenizer": (merges.main, [*both, "--num-merges", "4", "--rounds=2"]),
    }


NAMES = ["code_corpus", "codes", "ranking_examples", "statistics", "tokenizer"]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the manifests, whose layout differs."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", NAMES)
def test_a_remote_output_is_the_local_one(
    jobs: dict[str, Job], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MappedFiles.root = tmp_path / "store"
    monkeypatch.chdir(tmp_path)
    main, flags = jobs[name]
    assert main([*flags, "--output", "mapped://out"]) == 0
    assert main([*flags, "--output", str(tmp_path / "local")]) == 0
    remote = tmp_path / "store" / "out"
    assert contents(remote) == contents(tmp_path / "local")
    assert "COMPLETED" in contents(remote)
    assert sid.open_artifact(remote, name) == sid.Artifact(
        remote, sid.open_artifact(tmp_path / "local", name).manifest
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["local", "store"]


@pytest.mark.parametrize("name", NAMES)
def test_a_complete_remote_output_is_never_overwritten(
    jobs: dict[str, Job], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MappedFiles.root = tmp_path
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "COMPLETED").write_text("f\n")
    main, flags = jobs[name]
    assert main([*flags, "--output", "mapped://out"]) == 2
    said = "mapped://out exists and is never overwritten; give another output folder.\n"
    assert capsys.readouterr().err.endswith(said)
    assert contents(tmp_path) == {"out/COMPLETED": b"f\n"}


def test_parts_of_a_failed_attempt_are_not_mixed_in(
    jobs: dict[str, Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MappedFiles.root = tmp_path
    for name, folder in (("ranking_examples", "examples"), ("code_corpus", "corpus")):
        left = tmp_path / name / folder / "part-00002-of-00003.tfrecord"
        left.parent.mkdir(parents=True)
        left.write_bytes(b"")
        main, flags = jobs[name]
        assert main([*flags, "--output", f"mapped://{name}"]) == 2
        assert f"mapped://{name}/{folder} exists and is never overwritten" in capsys.readouterr().err
        assert not (tmp_path / name / "COMPLETED").exists()


def test_file_systems_know_beams_options_before_they_are_asked(tmp_path: Path) -> None:
    FileSystems.set_options(None)
    options = PipelineOptions(["--s3_region_name=eu"])
    assert new_output(tmp_path / "out", options) == str(tmp_path / "out")
    assert FileSystems._pipeline_options is options


def test_examples_are_read_where_they_lie(jobs: dict[str, Job], tmp_path: Path) -> None:
    main, flags = jobs["ranking_examples"]
    assert main([*flags, "--output", str(tmp_path / "out")]) == 0
    batches = [
        read_ranking_examples(at, LEVELS, 2, 64) for at in (tmp_path / "out", f"file://{tmp_path}/out")
    ]
    local, by_url = (sum(len(batch["label"]) for batch in it) for it in batches)
    assert local == by_url > 0
