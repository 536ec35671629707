"""The encode job on a Flink cluster of this machine, which is started for it and stopped after it.

    python -m pipelines.flink --items 'items/*.parquet' --quantizer QUANTIZER --output FOLDER

takes the options of `pipelines.encode`, and `--task_managers N`. `FLINK_HOME` names a Flink distribution; the
default is what `make flink` fetches.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import semid_tf as sid
from pipelines import encode
from pipelines.flags import JobParser
from pipelines.flink.cluster import local_cluster
from pipelines.flink.java import flink_home


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit status of `pipelines.encode`."""
    parser = JobParser(prog="python -m pipelines.flink", allow_abbrev=False, add_help=False)
    parser.add_argument("--task_managers", type=int, default=2)
    arguments, flags = parser.parse_known_args(argv)
    try:
        with local_cluster(flink_home(), arguments.task_managers) as cluster:
            return encode.main([*flags, *cluster.beam_options])
    except sid.SemidError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
