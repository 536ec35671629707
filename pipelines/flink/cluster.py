"""A Flink cluster on this machine: a job manager, task managers, and the pool that starts Python workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import semid_tf as sid
from pipelines.flink.java import JOB_MANAGER, JVM_FLAGS, TASK_MANAGER, flink_version, java_command

_START_S, _STOP_S, _POLL_S = 180, 10, 0.2
#: Workers outlive pauses of a job, since a new one loads TensorFlow and the model again.
_KEEP_WORKERS_S = 600
_JOB_MANAGER_MB, _TASK_MANAGER_MB = 512, 768
#: Each task manager has slots for a lost neighbour's work; a lost one is noticed within ten seconds, less
#: than all attempts take together, and what it did is done again. Beam keeps idle workers only if Flink
#: itself loads its classes.
_SETTINGS = """\
jobmanager.rpc.address: localhost
jobmanager.rpc.port: {rpc}
jobmanager.bind-host: localhost
taskmanager.bind-host: localhost
taskmanager.host: localhost
rest.address: localhost
rest.bind-address: localhost
rest.port: {rest}
blob.storage.directory: {folder}
io.tmp.dirs: {folder}
web.tmpdir: {folder}
parallelism.default: {parallelism}
taskmanager.numberOfTaskSlots: {parallelism}
taskmanager.load-balance.mode: SLOTS
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 3
restart-strategy.fixed-delay.delay: 4 s
heartbeat.interval: 2000
heartbeat.timeout: 10000
classloader.resolve-order: parent-first
taskmanager.cpu.cores: 1
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.task.heap.size: 512m
taskmanager.memory.task.off-heap.size: 128m
taskmanager.memory.network.min: 128m
taskmanager.memory.network.max: 128m
taskmanager.network.sort-shuffle.min-buffers: 64
taskmanager.memory.managed.size: 256m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
"""


class FlinkCluster:
    """Processes that belong together; `local_cluster` starts and stops them.

    Args:
        home: folder of a Flink distribution: `lib/`, and `job-server.jar` unless Beam fetches its own.
        folder: for settings, logs and temporary files.
        num_task_managers: one slot each is used, the others stand by.

    Attributes:
        task_managers: their processes.
    """

    def __init__(self, home: Path, folder: Path, num_task_managers: int) -> None:
        self._home, self._folder = home, folder
        self._version = flink_version(home)
        self._num = num_task_managers
        self._rpc, self._rest, self._pool = _free_ports(3)
        self._processes: list[subprocess.Popen[bytes]] = []
        self.task_managers: list[subprocess.Popen[bytes]] = []

    @property
    def beam_options(self) -> list[str]:
        """Beam's options for a job on this cluster."""
        jar = self._home / "job-server.jar"
        return [
            "--runner=FlinkRunner",
            f"--flink_master=localhost:{self._rest}",
            f"--flink_version={self._version}",
            *([f"--flink_job_server_jar={jar}"] if jar.exists() else []),
            *(f"--job_server_jvm_properties={flag}" for flag in JVM_FLAGS),
            f"--parallelism={self._num}",
            f"--environment_cache_millis={_KEEP_WORKERS_S * 1000}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{self._pool}",
        ]

    def start(self) -> None:
        """Starts all processes and waits until every task manager has reported.

        Raises:
            ConfigError: there is no Java, one ended at once, or they took too long; the message says what its
                log says.
        """
        if not shutil.which("java"):
            raise sid.ConfigError("java is not in the PATH; Flink needs Java 17 or later.")
        settings = _SETTINGS.format(
            rpc=self._rpc, rest=self._rest, folder=self._folder, parallelism=self._num
        )
        for name in ("config.yaml", "flink-conf.yaml"):  # The second before Flink 2.
            (self._folder / name).write_text(settings, encoding="utf-8")
        self._java("job-manager", JOB_MANAGER, _JOB_MANAGER_MB)
        self.task_managers = [
            self._java(f"task-manager-{number}", TASK_MANAGER, _TASK_MANAGER_MB)
            for number in range(self._num)
        ]
        self._run("worker-pool", [sys.executable, "-m", "pipelines.flink.worker_pool", str(self._pool)])
        self._wait()

    def _java(self, name: str, entry: str, heap_mb: int) -> subprocess.Popen[bytes]:
        return self._run(name, java_command(self._home, entry, self._folder, heap_mb))

    def _run(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        # The pool starts workers as `python`: that must be this one.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "PATH": path}, start_new_session=True
            )
        self._processes.append(process)
        return process

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_S
        while self.ask("/overview").get("taskmanagers") != self._num:
            if time.monotonic() > deadline or any(p.poll() is not None for p in self._processes):
                raise sid.ConfigError(f"Flink did not start: {self._last_words()}")
            time.sleep(_POLL_S)

    def ask(self, path: str) -> dict[str, Any]:
        """The job manager's answer to a REST path such as "/overview"; {} while it is silent."""
        try:
            with urlopen(f"http://localhost:{self._rest}{path}", timeout=_STOP_S) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except OSError:
            return {}

    def _last_words(self) -> str:
        for log in sorted(self._folder.glob("*.log")):
            lines = [line for line in log.read_text(errors="replace").splitlines() if "ERROR" in line]
            if lines:
                return f"{log.name}: {lines[-1].strip()}"
        return f"no answer within {_START_S} s; is `java` 17 or later?"

    def stop(self) -> None:
        """Ends all processes and the workers that the pool started."""
        for process in self._processes:
            _signal(process, signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                pass
            _signal(process, signal.SIGKILL)
            process.wait()


@contextmanager
def local_cluster(home: Path, num_task_managers: int = 2) -> Iterator[FlinkCluster]:
    """A running cluster, stopped at the end.

    Raises:
        ConfigError: there is no Flink in `home`, no Java or no task manager, or the cluster does not start.
    """
    if num_task_managers < 1:
        raise sid.ConfigError(f"task_managers must be at least 1, got {num_task_managers}.")
    with tempfile.TemporaryDirectory(prefix="flink-", ignore_cleanup_errors=True) as folder:
        cluster = FlinkCluster(home, Path(folder), num_task_managers)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    try:
        return [it.getsockname()[1] for it in sockets]
    finally:
        for it in sockets:
            it.close()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass
