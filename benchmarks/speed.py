"""Speeds of several runners, measured in turns, so that other work on the machine meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import numpy as np

K = TypeVar("K", bound=Hashable)
Runner = Callable[[np.ndarray], object]


def items_per_s(runners: Mapping[K, Runner], batches: list[np.ndarray], turns: int) -> dict[K, np.ndarray]:
    """Items a second of each runner in each turn: float64 [turns].

    In a turn each runner first takes one batch untimed, which ends what the one before it left running, then
    all batches; the turn's speed is that of its median batch.
    """
    speeds: dict[K, list[float]] = {name: [] for name in runners}
    for _ in range(turns):
        for name, run in runners.items():
            run(batches[0])
            seconds = np.median([_seconds(run, batch) for batch in batches])
            speeds[name].append(len(batches[0]) / float(seconds))
    return {name: np.array(values) for name, values in speeds.items()}


def _seconds(run: Runner, batch: np.ndarray) -> float:
    started = time.perf_counter()
    run(batch)
    return time.perf_counter() - started
