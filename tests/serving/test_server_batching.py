"""What waits together runs together, and nobody pays for another's mistake."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import tensorflow as tf
from tiny_models import batch

from serving.server.batching import Batcher, Work
from serving.server.refusal import Code, RefusedError
from serving.server.servable import Signature
from serving.server.tensors import from_array

SPEC = tf.TensorSpec((None, None), tf.float32)
BAD = -1.0


class Calls:
    """A signature that halves, refuses BAD, and notes the shapes that it is called with."""

    def __init__(self) -> None:
        self.shapes: list[list[int]] = []
        self.signature = Signature(self, {"x": SPEC}, {"y": SPEC}, True)

    def __call__(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        self.shapes.append(x.shape.as_list())
        tf.debugging.assert_none_equal(x, BAD, message="bad")
        return {"y": x / 2}

    def work(self, x: np.ndarray) -> Work:
        return Work(self.signature, {"x": from_array("x", x, SPEC, 1000)}, lambda y: y["y"].numpy().tolist())


def run(arrays: list[np.ndarray], max_rows: int = 8) -> tuple[Calls, list[Any]]:
    """All at once, by one thread."""
    calls = Calls()

    async def all_at_once() -> list[Any]:
        batcher = Batcher(max_rows, workers=1)
        try:
            work = [batcher.run(calls.work(array)) for array in arrays]
            return await asyncio.gather(*work, return_exceptions=True)
        finally:
            batcher.close()

    return calls, asyncio.run(all_at_once())


def test_equal_shapes_run_together_in_the_order_of_their_coming() -> None:
    arrays = [batch([i, i + 1]) for i in range(12)]
    calls, answers = run(arrays)
    assert answers == [[[i / 2, (i + 1) / 2]] for i in range(12)]
    assert calls.shapes == [[1, 2], [8, 2], [3, 2]]  # the first found the thread free


def test_other_shapes_run_apart_and_keep_their_answers() -> None:
    arrays = [batch([0]), batch([1]), batch([2, 3]), batch([4], [5]), batch([6, 7])]
    calls, answers = run(arrays)
    assert answers == [(array / 2).tolist() for array in arrays]
    assert calls.shapes == [[1, 1], [3, 1], [2, 2]]


def test_a_bad_request_fails_alone() -> None:
    _, answers = run([batch([0]), batch([1]), batch([BAD]), batch([3])])
    assert [answers[0], answers[1], answers[3]] == [[[0]], [[0.5]], [[1.5]]]
    assert isinstance(answers[2], RefusedError)
    assert answers[2].code == Code.INVALID_ARGUMENT


def test_a_request_larger_than_a_batch_runs_alone() -> None:
    calls, answers = run([batch([0]), np.ones((20, 1), np.float32), batch([1])])
    assert [len(answer) for answer in answers] == [1, 20, 1]
    assert calls.shapes == [[1, 1], [20, 1], [1, 1]]
