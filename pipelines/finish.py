"""Completes the output of an encode job that nobody waited for, such as one started from a template.

    python -m pipelines.finish --output FOLDER

counts what the job wrote and writes the report, the manifest and `COMPLETED`; an output that does not add up
gets none of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from apache_beam.io.filesystem import BeamIOError

import semid_tf as sid
from pipelines.encode import manifest_of, report_on, tell
from pipelines.launch import absolute, one_line, open_quantizer
from pipelines.publishing import complete_remote, refuse_completed
from pipelines.running import exit_status
from pipelines.started import Started


def finish_corpus(output: str) -> sid.Manifest:
    """Completes an output.

    Raises:
        ArtifactError: it is completed already, no job was started for it, or the job is not done.
        DataError: the doors do not add up to the input, or too many items were rejected.
    """
    output = absolute(output)
    refuse_completed(output)
    started = Started.load(output)
    try:
        report = report_on(started, open_quantizer(started.quantizer), None)
    except (OSError, BeamIOError) as error:
        raise sid.ArtifactError(
            f"{output} lacks parts ({one_line(error)}); finish it when the job is done."
        ) from error
    manifest = manifest_of(started.items, started.quantizer, output, report)
    complete_remote(output, manifest)
    return manifest


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit status as of `pipelines.encode`."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.finish", allow_abbrev=False)
    parser.add_argument("--output", required=True, help="folder that the job has filled")
    output = parser.parse_args(argv).output
    return exit_status(lambda: tell(output, finish_corpus(output).metrics))


if __name__ == "__main__":
    sys.exit(main())
