"""What stands on a command line: the options of a job, and Beam's."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from pipelines.running import MISTAKE

_LIKENESS = 0.8
# Their job services have options that are not known before the job is there.
_SERVICES = ("flink", "portable", "prism", "spark")


class JobParser(argparse.ArgumentParser):
    """Takes the options of a job, with underscores or hyphens in their names; all others must be Beam's."""

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """As argparse, with both spellings."""
        spelled = [spelling for name in names for spelling in _spellings(name)]
        return super().add_argument(*dict.fromkeys(spelled), **settings)

    def parse(self, argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, PipelineOptions]:
        """The job's options, and Beam's.

        What is neither ends the process with status 2: Beam drops it with a warning, and the job would run
        without what its user wanted to be sure of.
        """
        arguments, flags = self.parse_known_args(argv)
        options, own = PipelineOptions(flags), [*self._option_string_actions]
        for wrong in _mistakes(_unknown(options, flags), options, own):
            self.exit(MISTAKE, f"error: {wrong} is no option of this job or of Beam; {_cure(wrong, own)}\n")
        return arguments, options


def _spellings(name: str) -> list[str]:
    """The name itself, and all of them.

    >>> _spellings("--num_shards")
    ['--num_shards', '--num_shards', '--num-shards']
    """
    bare = name.removeprefix("--")
    both = [f"--{bare.replace('-', '_')}", f"--{bare.replace('_', '-')}"]
    return [name, *both] if name.startswith("--") else [name]


def _unknown(options: PipelineOptions, flags: Sequence[str]) -> list[str]:
    """What no options of Beam take."""
    unknown: list[str] = []
    options.get_all_options(
        add_extra_args_fn=lambda parser: unknown.extend(parser.parse_known_args(flags)[1]),
        retain_unknown_options=True,
    )
    return unknown


def _mistakes(unknown: list[str], options: PipelineOptions, own: Sequence[str]) -> list[str]:
    """All of them; before a job service, which may know them, values of no option and what resembles ours."""
    runner = options.view_as(StandardOptions).runner or ""
    if runner.lower().removesuffix("runner") not in _SERVICES:
        return unknown
    pairs = pairwise(["", *unknown])
    values = [it for before, it in pairs if not before.startswith("-") and not it.startswith("-")]
    return values + [it for it in unknown if _resembled(it, own)]


def _resembled(option: str, own: Sequence[str]) -> list[str]:
    return get_close_matches(option.partition("=")[0], own, 1, _LIKENESS) if option.startswith("--") else []


def _cure(wrong: str, own: Sequence[str]) -> str:
    if not wrong.startswith("-"):
        return "put a pattern into quotes."
    resembled = _resembled(wrong, own)
    return f"did you mean {resembled[0]}?" if resembled else "see --help."
