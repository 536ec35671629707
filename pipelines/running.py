"""How a job runs: on this machine unless Beam's options name a runner; mistakes end in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineResult

import semid_tf as sid
from pipelines.launch import one_line

#: Runs in this process. Beam's own default, DirectRunner, first tries to download another runner.
DEFAULT_RUNNER = "FnApiRunner"
MISTAKE, INTERRUPTED = 2, 130


def run_job(
    build: Callable[[beam.Pipeline], object], options: PipelineOptions | None = None
) -> PipelineResult:
    """Builds a pipeline and runs it to its end.

    Raises:
        ConfigError: Beam refuses its options.
    """
    try:
        with _pipeline(options or PipelineOptions([])) as pipeline:
            build(pipeline)
        return pipeline.result
    except RuntimeError as error:
        # Beam hides a Ctrl-C that meets a running step.
        if str(error).startswith("KeyboardInterrupt"):
            raise KeyboardInterrupt from error
        raise


def _pipeline(options: PipelineOptions) -> beam.Pipeline:
    runner = options.view_as(StandardOptions).runner or DEFAULT_RUNNER
    try:
        return beam.Pipeline(runner, options)
    except (ValueError, ImportError) as error:
        raise sid.ConfigError(f"Beam refuses its options: {one_line(error)}; mend them.") from error


def exit_status(job: Callable[[], None]) -> int:
    """Runs a command: 0; 2 after a user's mistake, which is said in one line; 130 after Ctrl-C."""
    try:
        job()
    except sid.SemidError as error:
        print(f"error: {error}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print("interrupted; nothing was published", file=sys.stderr)
        return INTERRUPTED
    return 0
