"""A client of TensorFlow Serving and of the local server, by gRPC or REST, blocking or async.

    with Client("grpc://127.0.0.1:8500") as client:
        answer = client.predict("ranker", {"history": [["a", "b"]], "candidates": [["c", "d"]]})
        answer["scores"]  # float32 [1, 2]

    async with AsyncClient("http://127.0.0.1:8501") as client:
        answer = await client.predict(...)  # the same names and arguments everywhere

Needs NumPy, grpcio, urllib3 and aiohttp; neither TensorFlow nor semid_tf. Errors: `serving.remote.errors`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from serving.remote.arrays import to_array
from serving.remote.by_grpc import GrpcCalls
from serving.remote.by_rest import RestCalls
from serving.remote.errors import ServingError, UnavailableError, error_of
from serving.remote.steps import Calls, Features, Model, Steps, Wire
from serving.remote.transports import (
    AsyncGrpcTransport,
    AsyncRestTransport,
    GrpcTransport,
    RestTransport,
    is_grpc,
)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0


class _Client:
    """The calls; subclasses carry their steps out."""

    def __init__(self, url: str, timeout_s: float, attempts: int) -> None:
        self._timeout_s, self._attempts = timeout_s, attempts
        self._calls: Calls = GrpcCalls() if is_grpc(url) else RestCalls()

    def predict(
        self,
        model: str,
        inputs: Mapping[str, Any],
        signature: str = "",
        outputs: Sequence[str] = (),
        version: int | None = None,
        label: str = "",
        timeout_s: float | None = None,
    ) -> Any:
        """Calls a signature.

        Args:
            model: its name.
            inputs: arrays or nested lists by name; text or bytes, numbers that the signature's type can hold.
            signature: its name; "" = the default.
            outputs: names of those wanted; none = all.
            version, label: which version; neither = the latest.
            timeout_s: until when there must be an answer, retries included.

        Returns:
            Arrays by name; strings as object arrays of bytes.

        Raises:
            ServingError: see `serving.remote.errors`.
            TypeError, ValueError: an input is no regular array of text, booleans or numbers.
        """
        arrays = {name: to_array(values) for name, values in inputs.items()}
        steps = self._calls.predict(Model(model, version, label), signature, arrays, outputs)
        return self._run(steps, timeout_s)

    def classify(
        self,
        model: str,
        examples: Sequence[Features],
        context: Features | None = None,
        signature: str = "",
        version: int | None = None,
        label: str = "",
        timeout_s: float | None = None,
    ) -> Any:
        """Labels and scores of examples: a list of `Class` for each.

        Args:
            examples: features by name, each a value or a list of text, bytes, integers or floats.
            context: features that all examples share.
            model, signature, version, label, timeout_s: see `predict`.

        Raises:
            ServingError: see `serving.remote.errors`.
        """
        steps = self._calls.classify(Model(model, version, label), signature, examples, context or {})
        return self._run(steps, timeout_s)

    def regress(
        self,
        model: str,
        examples: Sequence[Features],
        context: Features | None = None,
        signature: str = "",
        version: int | None = None,
        label: str = "",
        timeout_s: float | None = None,
    ) -> Any:
        """The value of each example: a list of floats. Arguments and errors as of `classify`."""
        steps = self._calls.regress(Model(model, version, label), signature, examples, context or {})
        return self._run(steps, timeout_s)

    def status(
        self, model: str, version: int | None = None, label: str = "", timeout_s: float | None = None
    ) -> Any:
        """The `VersionStatus` of each version, the latest first. Arguments and errors as of `predict`."""
        return self._run(self._calls.status(Model(model, version, label)), timeout_s)

    def _run(self, steps: Steps, timeout_s: float | None) -> Any:
        raise NotImplementedError

    def _deadline(self, timeout_s: float | None) -> float:
        return time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)

    def _pauses(self) -> Iterator[float]:
        """How long to wait before each further attempt: drawn up to a doubling limit (full jitter)."""
        for attempt in range(self._attempts - 1):
            yield random.uniform(0, min(_FIRST_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S))


class Client(_Client):
    """Blocking; may be shared by threads. Every call is a question, so that asking again is safe.

    Args:
        url: `grpc://host:port`, `http://host:port`, or with TLS `grpcs://`, `https://`.
        timeout_s: of a call, where it names none.
        attempts: so often is a server asked that is unavailable; no other error is tried again.
        ca_file: PEM file of who signs the server's certificate; "" = those of the system.

    Raises:
        ValueError: the url is no address of a server.
    """

    def __init__(self, url: str, timeout_s: float = 5.0, attempts: int = 3, ca_file: str = "") -> None:
        super().__init__(url, timeout_s, attempts)
        self._transport = (GrpcTransport if is_grpc(url) else RestTransport)(url, ca_file)

    def _run(self, steps: Steps, timeout_s: float | None) -> Any:
        deadline = self._deadline(timeout_s)
        try:
            wire = next(steps)
            while True:
                try:
                    answer = self._send(wire, deadline)
                except ServingError as error:
                    wire = steps.throw(error)
                else:
                    wire = steps.send(answer)
        except StopIteration as end:
            return end.value

    def _send(self, wire: Wire, deadline: float) -> bytes:
        for pause in self._pauses():
            try:
                return self._transport.send(wire, _left(deadline))
            except UnavailableError:
                if time.monotonic() + pause >= deadline:
                    raise
            time.sleep(pause)
        return self._transport.send(wire, _left(deadline))

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Client):
    """On an event loop; every call is to be awaited. Arguments as of `Client`."""

    def __init__(self, url: str, timeout_s: float = 5.0, attempts: int = 3, ca_file: str = "") -> None:
        super().__init__(url, timeout_s, attempts)
        self._transport = (AsyncGrpcTransport if is_grpc(url) else AsyncRestTransport)(url, ca_file)

    async def _run(self, steps: Steps, timeout_s: float | None) -> Any:
        deadline = self._deadline(timeout_s)
        try:
            wire = next(steps)
            while True:
                try:
                    answer = await self._send(wire, deadline)
                except ServingError as error:
                    wire = steps.throw(error)
                else:
                    wire = steps.send(answer)
        except StopIteration as end:
            return end.value

    async def _send(self, wire: Wire, deadline: float) -> bytes:
        for pause in self._pauses():
            try:
                return await self._transport.send(wire, _left(deadline))
            except UnavailableError:
                if time.monotonic() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)
        return await self._transport.send(wire, _left(deadline))

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise error_of("DEADLINE_EXCEEDED", "no time is left for another attempt.")
    return left
