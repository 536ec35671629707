"""What waits together runs together, and nobody pays for another's mistake."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tiny_models import batch, publish_function, publish_tiny

from serving.server.batching import Batcher, Work
from serving.server.refusal import Code, RefusedError
from serving.server.servable import Servable, Signature
from serving.server.tensors import from_array

SPEC = tf.TensorSpec((None, None), tf.float32)
BAD = -1.0


class Calls:
    """A signature that halves, refuses BAD, and notes the shapes that it is called with.

    Its first call is answered once the others wait.
    """

    def __init__(self) -> None:
        self.shapes: list[list[int]] = []
        self.signature = Signature(self, {"x": SPEC}, {"y": SPEC}, True)
        self.called, self.others_wait = threading.Event(), threading.Event()

    def __call__(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        self.shapes.append(x.shape.as_list())
        self.called.set()
        assert self.others_wait.wait(20)
        tf.debugging.assert_none_equal(x, BAD, message="bad")
        return {"y": x / 2}

    def work(self, x: np.ndarray) -> Work:
        return Work(self.signature, {"x": from_array("x", x, SPEC, 1000)}, lambda y: y["y"].numpy().tolist())


def run(arrays: list[np.ndarray], max_rows: int = 8) -> tuple[Calls, list[Any]]:
    """By one thread; all others come while the first runs."""
    calls = Calls()

    async def come(batcher: Batcher) -> list[Any]:
        answers = [asyncio.ensure_future(batcher.run(calls.work(arrays[0])))]
        assert await asyncio.to_thread(calls.called.wait, 20)
        answers += [asyncio.ensure_future(batcher.run(calls.work(array))) for array in arrays[1:]]
        await asyncio.sleep(0)  # they begin to wait
        calls.others_wait.set()
        return await asyncio.gather(*answers, return_exceptions=True)

    return calls, with_batcher(come, max_rows)


def with_batcher(come: Callable[[Batcher], Awaitable[list[Any]]], max_rows: int = 8) -> list[Any]:
    """What comes of a batcher with one thread."""

    async def whole() -> list[Any]:
        batcher = Batcher(max_rows, workers=1)
        try:
            return await come(batcher)
        finally:
            batcher.close()

    return asyncio.run(whole())


def test_equal_shapes_run_together_in_the_order_of_their_coming() -> None:
    arrays = [batch([i, i + 1]) for i in range(12)]
    calls, answers = run(arrays)
    assert answers == [[[i / 2, (i + 1) / 2]] for i in range(12)]
    assert calls.shapes == [[1, 2], [8, 2], [3, 2]]


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


def test_who_gave_up_is_left_out_and_the_thread_is_free_again() -> None:
    calls = Calls()

    async def come(batcher: Batcher) -> list[Any]:
        first, late = (asyncio.ensure_future(batcher.run(calls.work(batch([i])))) for i in (0, 1))
        await asyncio.sleep(0)
        assert await asyncio.to_thread(calls.called.wait, 20)
        late.cancel()
        calls.others_wait.set()
        answers = [await first]
        return [*answers, await batcher.run(calls.work(batch([2])))]

    assert with_batcher(come, max_rows=1) == [[[0]], [[1]]]
    assert calls.shapes == [[1, 1], [1, 1]]


def test_an_answer_is_no_wider_than_alone(tmp_path: Path) -> None:
    """Lists of any length in serialized form: the shapes of the inputs agree, those of the answers do not."""

    def numbers(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.strings.to_number(tf.strings.split(inputs).to_tensor("0"))}

    spec = tf.TensorSpec((None,), tf.string, "inputs")
    signature = Servable("lists", 1, publish_function(tmp_path, 1, numbers, spec)).signature("")
    lists = ["1", "2", "3 4 5 6", "7", "8 9"]
    works = [
        Work(
            signature,
            {"inputs": from_array("inputs", np.array([text], object), spec, 10)},
            lambda outputs: outputs["y"].numpy().tolist(),
        )
        for text in lists
    ]
    answers = with_batcher(lambda batcher: asyncio.gather(*map(batcher.run, works)))
    assert answers == [[[float(one) for one in text.split()]] for text in lists]


def test_signatures_whose_widths_are_those_of_their_inputs_are_batched(tmp_path: Path) -> None:
    tiny = Servable("tiny", 1, publish_tiny(tmp_path, 1, 2.0))
    assert {name: tiny.signature(name).batched for name in ("", "echo")} == {"": True, "echo": True}
