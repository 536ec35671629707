"""The serving benchmark's figures are those of what it calls."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.serving import (
    NAME,
    SIGNATURE,
    drawn,
    in_turns,
    memory_growth,
    per_second,
    serving,
    throughput,
)
from serving.client import Client


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


class _Visits:
    """A call that takes 50 ms, how often it was made, and by how many at most at once."""

    def __init__(self) -> None:
        self.made = self.inside = self.most = 0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.made, self.inside = self.made + 1, self.inside + 1
            self.most = max(self.most, self.inside)
        time.sleep(0.05)
        with self._lock:
            self.inside -= 1


def test_clients_work_side_by_side() -> None:
    visits = _Visits()
    started = time.perf_counter()
    rate = per_second(visits, 4, 0.4)
    assert visits.made / (time.perf_counter() - started) <= rate <= visits.made / 0.4
    assert visits.most == 4


def test_throughput_is_that_of_eight_clients_over_two_in_process() -> None:
    direct, remote = _Visits(), _Visits()
    figures = throughput(direct, remote, 1, 0.5)
    assert (direct.most, remote.most) == (2, 32)
    rates = figures["requests_per_s"]
    assert set(rates) == {"in_process", "1", "8", "32"}
    assert figures["throughput_share"] == pytest.approx(rates["8"] / rates["in_process"], rel=0.02)


def test_one_user_of_fifty_and_his_candidates() -> None:
    ids = np.array(["a", "b"])
    inputs = drawn(ids, 7)
    assert {name: values.shape for name, values in inputs.items()} == {
        "history": (1, 50),
        "candidates": (1, 7),
    }
    assert set(inputs["candidates"].ravel()) <= set(ids)


def test_memory_is_compared_over_as_many_requests_as_were_asked_for(tmp_path: Path) -> None:
    """As the server process itself counts them, without those of before."""
    ids = tf.TensorSpec((None, None), tf.string)

    @tf.function(input_signature=[ids, ids])
    def rank(history: tf.Tensor, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": tf.cast(tf.strings.length(candidates) + tf.size(history), tf.float32)}

    module = tf.Module()
    module.rank = rank
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={SIGNATURE: rank})
    with serving(tmp_path) as server, Client(server.grpc, 60) as client:
        inputs = drawn(np.array(["a", "bc"]), 3)
        expected = np.char.str_len(inputs["candidates"]) + 50
        assert client.predict(NAME, inputs, SIGNATURE)["scores"].tolist() == expected.tolist()
        figures = memory_growth(server, client, inputs, 1200)
    assert figures["memory_requests"] == 1200
    assert -20 < figures["memory_growth_mb"] < 20
