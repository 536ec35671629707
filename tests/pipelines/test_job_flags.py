"""Options of a command line: a mistyped one ends the job before it begins."""

from __future__ import annotations

from types import ModuleType

import pytest
from apache_beam.options.pipeline_options import DirectOptions

from pipelines import code_corpus, encode, finish, merges, ranking_examples, statistics
from pipelines.flags import JobParser

NEEDED = ["--items", "i", "--quantizer", "q", "--output", "o"]


def said(capsys: pytest.CaptureFixture[str], parser: JobParser, *flags: str) -> str:
    with pytest.raises(SystemExit) as ended:
        parser.parse(flags)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_both_spellings_and_beams_own_options() -> None:
    for flags in (["--max_rejected_rate=0.5"], ["--max-rejected-rate", "0.5"]):
        arguments, options = encode._parser().parse([*NEEDED, *flags, "--direct_num_workers=2"])
        assert arguments.max_rejected_rate == 0.5
        assert options.view_as(DirectOptions).direct_num_workers == 2


def test_an_option_that_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    parser = encode._parser()
    assert said(capsys, parser, *NEEDED, "--previos", "codes-1") == (
        "error: --previos is no option of this job or of Beam; did you mean --previous?\n"
    )
    assert said(capsys, parser, *NEEDED, "--quick=1").endswith(
        "error: --quick=1 is no option of this job or of Beam; see --help.\n"
    )
    # A shell wrote out a pattern.
    assert said(capsys, parser, "--items", "a", "b", *NEEDED[2:]) == (
        "error: b is no option of this job or of Beam; put a pattern into quotes.\n"
    )


def test_a_job_service_may_know_more(capsys: pytest.CaptureFixture[str]) -> None:
    parser, flink = encode._parser(), [*NEEDED, "--runner=FlinkRunner"]
    parser.parse([*flink, "--checkpointing_interval", "1000", "--faster_copy=true"])
    assert "did you mean --previous?" in said(capsys, parser, *flink, "--previos=codes-1")
    assert "quotes" in said(
        capsys, parser, "--items", "a", "b", *NEEDED[2:], "--runner=FlinkRunner", "--object_reuse"
    )


@pytest.mark.parametrize("job", [code_corpus, encode, finish, merges, ranking_examples, statistics])
def test_every_job_refuses_what_it_does_not_know(job: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    needed = [f"--{name}=1" for name in ("codes", "interactions", "items", "quantizer", "output")]
    needed += [f"--{name}=1" for name in ("num-levels", "codebook-size", "num-merges")]
    with pytest.raises(SystemExit) as ended:
        job.main([*needed, "--what"])
    assert ended.value.code == 2
    assert "is no option of this job or of Beam" in capsys.readouterr().err
