"""The serving benchmark's figures are those of what it calls."""

from __future__ import annotations

import time

import numpy as np
import pytest

from benchmarks.serving import drawn, in_turns, per_second, throughput


def test_calls_are_timed_in_turns_and_the_first_tenth_is_left_out() -> None:
    order: list[str] = []
    calls = {
        "slow": lambda: (order.append("slow"), time.sleep(0.004)),
        "fast": lambda: order.append("fast"),
    }
    times = in_turns(calls, 20)
    assert order == ["slow", "fast"] * 22
    assert [len(values) for values in times.values()] == [20, 20]
    assert np.median(times["slow"]) > 4 > np.median(times["fast"])


def test_clients_work_side_by_side() -> None:
    def sleep() -> None:
        time.sleep(0.02)

    assert per_second(sleep, 4, 0.4) == pytest.approx(4 * per_second(sleep, 1, 0.4), rel=0.4)
    figures = throughput(sleep, sleep, 1, 0.2)
    assert set(figures["requests_per_s"]) == {"in_process", "1", "8", "32"}
    assert figures["throughput_share"] == pytest.approx(8 / 2, rel=0.4)


def test_one_user_of_fifty_and_his_candidates() -> None:
    ids = np.array(["a", "b"])
    inputs = drawn(ids, 7)
    assert {name: values.shape for name, values in inputs.items()} == {
        "history": (1, 50),
        "candidates": (1, 7),
    }
    assert set(inputs["candidates"].ravel()) <= set(ids)
