"""Work in a process of its own; what a process and all that it started have used, from Linux's `/proc`."""

from __future__ import annotations

import atexit
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

#: Seconds that the clock of `tree_cpu_s` goes in steps of; no work costs less than one.
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def in_own_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work(*arguments)` returns in a fresh process.

    Raises:
        ChildProcessError: it failed; its own error stands above.
    """
    processes = multiprocessing.get_context("spawn")
    receiver, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=_send, args=(sender, work, arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError as error:
        raise ChildProcessError(f"{work.__name__} failed; its error stands above.") from error
    finally:
        process.join()


def _send(sender: Any, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    sender.send(work(*arguments))
    atexit._run_exitfuncs()  # multiprocessing would leave them out.


def tree_cpu_s() -> float:
    """CPU-seconds of this process and its descendants, those that ended and were waited for included."""
    return sum(sum(map(int, fields[11:15])) for _, fields in _tree()) * TICK_S


def tree_peak_rss_mb() -> float:
    """The most memory that one of them held at a time; `ru_maxrss` would inherit the parent's."""
    return max(_peak_kb(pid) for pid, _ in _tree()) / 1024


def _peak_kb(pid: int) -> int:
    lines = _read(pid, "status").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _tree() -> Iterator[tuple[int, list[str]]]:
    """Process ids, parents first, and the fields of `stat` from the state on."""
    stats = {pid: _read(pid, "stat").rpartition(")")[2].split() for pid in _pids()}
    found = {os.getpid()}
    for pid in sorted(
        stats, key=lambda it: int(stats[it][19]) if stats[it] else 0
    ):  # by the time of their start
        if stats[pid] and (pid in found or int(stats[pid][1]) in found):
            found.add(pid)
            yield pid, stats[pid]


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):  # It has ended.
        return ""
