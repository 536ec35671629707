"""Starts Python workers for all task managers of one machine: `python -m pipelines.flink.worker_pool PORT`"""

from __future__ import annotations

import sys
from typing import Any

from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer


class SharedWorkerPool(BeamFnExternalWorkerPoolServicer):
    """Leaves the end of a worker to itself: it ends when its task manager hangs up.

    Every task manager numbers its workers from one, and Beam's own pool stops a worker by this number: the
    task manager that is done first would stop the worker of another.
    """

    def StopWorker(self, stop_worker_request: Any, unused_context: Any) -> Any:  # noqa: N802 - of gRPC
        """Answers, and does nothing."""
        return beam_fn_api_pb2.StopWorkerResponse()


if __name__ == "__main__":
    SharedWorkerPool.start(use_process=True, port=int(sys.argv[1]))[1].wait_for_termination()
