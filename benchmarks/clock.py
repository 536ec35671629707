"""What a piece of work costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Cost(NamedTuple):
    """Seconds: `cpu_s` of all threads of the process together, `wall_s` on the wall."""

    cpu_s: float
    wall_s: float


def cost_of(work: Callable[[], object], cpu_clock: Callable[[], float] = time.process_time) -> Cost:
    """Does the work once."""
    cpu, wall = cpu_clock(), time.perf_counter()
    work()
    return Cost(cpu_clock() - cpu, time.perf_counter() - wall)
