"""Bytes to a server and back over kept connections, blocking or async; every failure is a ServingError."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import grpc
import urllib3

from serving.remote.deadline import pool_with_deadlines
from serving.remote.errors import ServingError, error_of, error_of_http
from serving.remote.steps import Wire

_CHANNEL = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.lb_policy_name", "round_robin"),  # over all addresses that a name stands for
]
_CONNECTIONS = 32
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=None)  # each call has its own


def is_grpc(url: str) -> bool:
    """Whether a server is spoken to by gRPC.

    Raises:
        ValueError: it is no address of a server.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("grpc", "grpcs", "http", "https") or not parts.netloc:
        raise ValueError(f"{url!r} is no server; write grpc://host:8500, http://host:8501, grpcs or https.")
    return parts.scheme.startswith("grpc")


def _channel(api: Any, url: str, ca_file: str) -> Any:
    """A channel of `grpc` or `grpc.aio`."""
    parts = urlsplit(url)
    if parts.scheme != "grpcs":
        return api.insecure_channel(parts.netloc, _CHANNEL)
    credentials = grpc.ssl_channel_credentials(Path(ca_file).read_bytes() if ca_file else None)
    return api.secure_channel(parts.netloc, credentials, _CHANNEL)


class GrpcTransport:
    """One gRPC channel."""

    def __init__(self, url: str, ca_file: str) -> None:
        self._channel = _channel(grpc, url, ca_file)

    def send(self, wire: Wire, timeout_s: float) -> bytes:
        try:
            return self._channel.unary_unary(wire.path)(wire.body, timeout=timeout_s)
        except grpc.RpcError as error:
            raise _of_grpc(error) from error

    def close(self) -> None:
        self._channel.close()


class AsyncGrpcTransport:
    """One gRPC channel on the event loop."""

    def __init__(self, url: str, ca_file: str) -> None:
        self._url, self._ca_file = url, ca_file
        self._opened: grpc.aio.Channel | None = None

    def _channel(self) -> grpc.aio.Channel:
        """Opened at the first call, since it belongs to the event loop of that."""
        if self._opened is None:
            self._opened = _channel(grpc.aio, self._url, self._ca_file)
        return self._opened

    async def send(self, wire: Wire, timeout_s: float) -> bytes:
        try:
            return await self._channel().unary_unary(wire.path)(wire.body, timeout=timeout_s)
        except grpc.RpcError as error:
            raise _of_grpc(error) from error

    async def close(self) -> None:
        if self._opened:
            await self._opened.close()


def _of_grpc(error: Any) -> ServingError:
    return error_of(error.code().name, error.details() or "no message")


class RestTransport:
    """A pool of HTTP connections."""

    def __init__(self, url: str, ca_file: str) -> None:
        self._url = url.rstrip("/")
        self._pool = pool_with_deadlines(maxsize=_CONNECTIONS, ca_certs=ca_file or None)

    def send(self, wire: Wire, timeout_s: float) -> bytes:
        url, timeout = self._url + wire.path, urllib3.Timeout(total=timeout_s)
        try:
            answer = self._pool.request(wire.verb, url, body=wire.body, timeout=timeout, retries=False)
        except urllib3.exceptions.NewConnectionError as error:  # a TimeoutError to urllib3, though it is none
            raise error_of("UNAVAILABLE", str(error)) from error
        except urllib3.exceptions.TimeoutError as error:
            raise error_of("DEADLINE_EXCEEDED", f"no answer within {timeout_s:.3g} s.") from error
        except urllib3.exceptions.HTTPError as error:
            raise error_of("UNAVAILABLE", str(error)) from error
        return _checked(answer.status, answer.data)

    def close(self) -> None:
        self._pool.clear()


class AsyncRestTransport:
    """A pool of HTTP connections on the event loop."""

    def __init__(self, url: str, ca_file: str) -> None:
        self._url, self._ca_file = url.rstrip("/"), ca_file
        self._opened: aiohttp.ClientSession | None = None

    def _session(self) -> aiohttp.ClientSession:
        """Opened at the first call, since it belongs to the event loop of that."""
        if self._opened is None:
            tls = ssl.create_default_context(cafile=self._ca_file or None)
            connector = aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=tls)
            self._opened = aiohttp.ClientSession(connector=connector, timeout=_NO_TIMEOUT)
        return self._opened

    async def send(self, wire: Wire, timeout_s: float) -> bytes:
        try:
            async with asyncio.timeout(timeout_s):
                url = self._url + wire.path
                async with self._session().request(wire.verb, url, data=wire.body) as answer:
                    return _checked(answer.status, await answer.read())
        except TimeoutError as error:
            raise error_of("DEADLINE_EXCEEDED", f"no answer within {timeout_s:.3g} s.") from error
        except aiohttp.ClientError as error:
            raise error_of("UNAVAILABLE", str(error)) from error

    async def close(self) -> None:
        if self._opened:
            await self._opened.close()


def _checked(status: int, body: bytes) -> bytes:
    if status == 200:
        return body
    try:
        message = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        message = f"HTTP status {status}"
    raise error_of_http(status, message)
