"""Bodies of HTTP requests: each bounded in size and time, and all together in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from serving.server.refusal import Code, RefusedError, invalid

_TOGETHER = 16
_MB = 1 << 20


class BodyError(Exception):
    """A body that is not taken, in one line.

    Attributes:
        http_status: of the answer.
    """

    def __init__(self, http_status: int, message: str) -> None:
        super().__init__(message)
        self.http_status = http_status


class Bodies:
    """Reads bodies.

    Args:
        largest: bytes of one; all together may have sixteen times as many.
        timeout_s: within which one must have come.
    """

    def __init__(self, largest: int, timeout_s: float) -> None:
        self._largest, self._timeout_s, self._held = largest, timeout_s, 0

    @asynccontextmanager
    async def read(self, request: web.Request) -> AsyncIterator[bytes]:
        """The body, which counts as held until the context ends.

        Raises:
            BodyError: it is too large or too slow.
            RefusedError: INVALID_ARGUMENT, it is not as its header says; UNAVAILABLE, there is no room.
        """
        body = bytearray()
        try:
            await self._fill(body, request)
            yield bytes(body)
        finally:
            self._held -= len(body)

    async def _fill(self, body: bytearray, request: web.Request) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                while chunk := await request.content.readany():
                    body += chunk
                    self._held += len(chunk)
                    self._require_room(len(body))
        except TimeoutError as error:
            raise BodyError(408, "The body did not come in time.") from error
        except web.RequestPayloadError as error:
            raise invalid("The body is not what its header says.") from error

    def _require_room(self, size: int) -> None:
        if size > self._largest:
            raise BodyError(
                413, f"The body is larger than {self._largest // _MB} MB, which is the most allowed."
            )
        if self._held > _TOGETHER * self._largest:
            raise RefusedError(Code.UNAVAILABLE, "Too many large bodies are under way; try again later.")
