"""Requests of equal shapes to one signature run together, padded by nothing: scores do not change."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import tensorflow as tf

from serving.server.refusal import refusal_of
from serving.server.servable import Signature
from serving.server.tensors import Input

Outputs = dict[str, tf.Tensor]


class Work(NamedTuple):
    """One request.

    Attributes:
        signature: to call.
        inputs: checked.
        encode: makes the answer of the outputs, in the thread that computed them.
    """

    signature: Signature
    inputs: Mapping[str, Input]
    encode: Callable[[Outputs], Any]

    @property
    def rows(self) -> int:
        """Of the first dimension; 0 where the request must run alone."""
        sizes = {given.shape[0] for given in self.inputs.values() if given.shape}
        return sizes.pop() if self.signature.batched and len(sizes) == 1 else 0

    @property
    def key(self) -> Hashable:
        """Equal for requests that can run together."""
        shapes = tuple((name, given.shape[1:]) for name, given in sorted(self.inputs.items()))
        return (id(self.signature.run), shapes) if self.rows else id(self)


# A request, and who waits for the answer.
Waiting = tuple[Work, asyncio.Future]


class Batcher:
    """Runs work in threads; whatever waits while all threads are busy goes together in one call.

    Nobody waits for company: a batch is what has come meanwhile.

    Args:
        max_rows: of a batch.
        workers: threads.
    """

    def __init__(self, max_rows: int, workers: int) -> None:
        self._max_rows, self._free = max_rows, workers
        self._threads = ThreadPoolExecutor(workers, "model")
        self._lock = threading.Lock()  # for what follows, and for the number of free threads
        self._waiting: dict[Hashable, deque[Waiting]] = {}

    async def run(self, work: Work) -> Any:
        """The encoded answer.

        Raises:
            RefusedError: the model refused the request.
        """
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._lock:
            self._waiting.setdefault(work.key, deque()).append((work, future))
            starts = self._free > 0
            self._free -= starts
        if starts:
            self._threads.submit(self._work, loop)
        return await future

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs in a thread until nobody waits."""
        while batch := self._take():
            answers = _answers([work for work, _ in batch])
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_deliver, batch, answers)

    def _take(self) -> list[Waiting]:
        """The next batch: who waits longest, and who fits to it; those who gave up are left out. Empty = the
        thread is free from now on."""
        with self._lock:
            batch: list[Waiting] = []
            while self._waiting and not batch:
                batch = self._take_of(next(iter(self._waiting)))
            self._free += not batch
            return batch

    def _take_of(self, key: Hashable) -> list[Waiting]:
        batch: list[Waiting] = []
        queue, rows = self._waiting.pop(key), 0
        while queue and (not batch or rows + queue[0][0].rows <= self._max_rows):
            work, future = queue.popleft()
            if not future.done():
                batch.append((work, future))
                rows += work.rows
        if queue:
            self._waiting[key] = queue
        return batch

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False)


def _deliver(batch: list[Waiting], answers: list[Any]) -> None:
    for (_, future), answer in zip(batch, answers, strict=True):
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(refusal_of(answer))
        else:
            future.set_result(answer)


def _answers(batch: list[Work]) -> list[Any]:
    """The answer to each, or its error: one that fails does not take the others with it."""
    try:
        return _run_together(batch)
    except Exception as error:
        return [error] if len(batch) == 1 else [_answers([work])[0] for work in batch]


def _run_together(batch: list[Work]) -> list[Any]:
    names = batch[0].inputs
    inputs = {name: _joined([work.inputs[name].tensor for work in batch]) for name in names}
    outputs = batch[0].signature.run(**inputs)
    if len(batch) == 1:
        return [batch[0].encode(outputs)]
    sizes = [work.rows for work in batch]
    parts = {name: tf.split(tensor, sizes) for name, tensor in outputs.items()}
    return [work.encode({name: part[i] for name, part in parts.items()}) for i, work in enumerate(batch)]


def _joined(tensors: list[tf.Tensor]) -> tf.Tensor:
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis=0)
