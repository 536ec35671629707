"""Completes the output of an encode job that nobody waited for, such as one started from a template.

    python -m pipelines.finish --output FOLDER [Beam options]

counts what the job wrote and writes the report, the manifest and `COMPLETED`; an output that does not add up
gets none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from apache_beam.io.filesystem import BeamIOError
from apache_beam.options.pipeline_options import PipelineOptions

import semid_tf as sid
from pipelines.encode import manifest_of, report_on, tell
from pipelines.flags import JobParser
from pipelines.launch import absolute, one_line, open_quantizer
from pipelines.publishing import complete_remote, refuse_completed
from pipelines.running import exit_status, reach_files
from pipelines.started import Started


def finish_corpus(output: str, options: PipelineOptions | None = None) -> sid.Manifest:
    """Completes an output; of Beam's options, those of its file system count.

    Raises:
        ArtifactError: it is completed already, no job was started for it, or the job is not done.
        DataError: the doors do not add up to the input, or too many items were rejected.
    """
    reach_files(options)
    output = absolute(output)
    refuse_completed(output)
    started = Started.load(output)
    try:
        report = report_on(started, open_quantizer(started.quantizer), None)
    except (OSError, BeamIOError) as error:
        raise sid.ArtifactError(
            f"{output} lacks parts ({one_line(error)}); finish it when the job is done."
        ) from error
    manifest = manifest_of(started.items, started.quantizer, report)
    complete_remote(output, manifest)
    return manifest


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit status as of `pipelines.encode`."""
    parser = JobParser(
        prog="python -m pipelines.finish",
        description="Completes the output of an encode job. Further options are Beam's own.",
        allow_abbrev=False,
    )
    parser.add_argument("--output", required=True, help="folder that the job has filled")
    arguments, options = parser.parse(argv)
    return exit_status(lambda: tell(arguments.output, finish_corpus(arguments.output, options).metrics))


if __name__ == "__main__":
    sys.exit(main())
