"""How a job runs: on this machine unless Beam's options name a runner; mistakes end in one line."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult
from apache_beam.transforms.environments import EmbeddedPythonGrpcEnvironment

import semid_tf as sid
from pipelines.faults import fault_in, told_once
from pipelines.launch import one_line

#: Runs in this process. Beam's own default, DirectRunner, first tries to download another runner.
DEFAULT_RUNNER = "FnApiRunner"
_THREADS = "multi_threading"
_NEVER_MS = 10**9
MISTAKE, INTERRUPTED = 2, 130


def reach_files(options: PipelineOptions | None) -> None:
    """Tells Beam's file systems the options of a job, before it looks at files.

    Beam itself tells them when it builds a pipeline. Until then those of S3, HDFS and Azure refuse to work.
    """
    FileSystems.set_options(options or PipelineOptions([]))


def run_job(
    build: Callable[[beam.Pipeline], object], options: PipelineOptions | None = None
) -> PipelineResult:
    """Builds a pipeline and runs it to its end.

    Raises:
        ConfigError: Beam refuses its options.
        SemidError: a worker met what a user can mend; of the kind that it raised, for files DataError.
    """
    try:
        with told_once(), _pipeline(options or PipelineOptions([])) as pipeline:
            build(pipeline)
        return pipeline.result
    except Exception as error:
        # Beam hides a Ctrl-C that meets a running step.
        if isinstance(error, RuntimeError) and str(error).startswith("KeyboardInterrupt"):
            raise KeyboardInterrupt from error
        if fault := fault_in(f"{type(error).__name__}: {error}"):
            raise fault from error
        raise


def _pipeline(options: PipelineOptions) -> beam.Pipeline:
    runner = options.view_as(StandardOptions).runner or DEFAULT_RUNNER
    threads = options.view_as(DirectOptions).direct_running_mode == _THREADS
    try:
        if runner == DEFAULT_RUNNER and threads:
            return _with_threads(copy.deepcopy(options))
        return beam.Pipeline(runner, options)
    except (ValueError, ImportError) as error:
        raise sid.ConfigError(f"Beam refuses its options: {one_line(error)}; mend them.") from error


def _with_threads(options: PipelineOptions) -> beam.Pipeline:
    """The local runner's workers as threads, which send what they have by its size alone.

    Beam's own (2.77) also send every second, from another thread, which cuts in two what is being written, or
    loses it. It puts them in place of ours where the options name that mode, so they name none.
    """
    options.view_as(DirectOptions).direct_running_mode = None
    environment = EmbeddedPythonGrpcEnvironment(data_buffer_time_limit_ms=_NEVER_MS)
    return beam.Pipeline(FnApiRunner(default_environment=environment), options)


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
