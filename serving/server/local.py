"""The whole local server, from start to drain."""

from __future__ import annotations

import asyncio
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import NamedTuple

from aiohttp import web
from tensorflow_serving.config import model_server_config_pb2 as configs

from serving.server.config import ServerConfig, address_of
from serving.server.grpc_api import grpc_server
from serving.server.rest_api import RestApi
from serving.server.service import Service

_CONNECTIONS = 2048


class Addresses(NamedTuple):
    """Where a server listens, as `host:port`."""

    grpc: str
    rest: str


class LocalServer:
    """gRPC and REST on one event loop; models run in threads.

    Args:
        models: what to serve.
        config: how.
    """

    def __init__(self, models: configs.ModelServerConfig, config: ServerConfig) -> None:
        self._models, self._config = models, config
        self._service = Service(config)

    async def start(self) -> Addresses:
        """Loads the models, then listens.

        Raises:
            OSError: a port is taken.
        """
        config = self._config
        await self._service.models.configure(self._models)
        self._grpc, grpc_port = grpc_server(self._service, config)
        application = RestApi(self._service).application()
        self._runner = web.AppRunner(
            application, access_log=None, handle_signals=False, keepalive_timeout=config.header_timeout_s
        )
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, config.host, config.rest_port, ssl_context=_tls(config), backlog=_CONNECTIONS
        )
        await site.start()
        await self._grpc.start()
        self._poll = asyncio.get_running_loop().create_task(self._look_for_versions())
        rest_port = self._runner.addresses[0][1]
        return Addresses(address_of(config.host, grpc_port), address_of(config.host, rest_port))

    async def _look_for_versions(self) -> None:
        while True:
            await asyncio.sleep(self._config.poll_s)
            with suppress(OSError):  # a folder that changes while it is read; the next look will tell
                await self._service.models.scan()

    async def stop(self) -> None:
        """Ends what is under way, lets nothing new in, then closes."""
        self._poll.cancel()
        with suppress(TimeoutError):
            await self._service.drain()
        await self._grpc.stop(grace=1.0)
        await self._runner.cleanup()
        self._service.close()


def _tls(config: ServerConfig) -> ssl.SSLContext | None:
    if not config.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(config.tls_cert, config.tls_key)
    return context


async def _serve(server: LocalServer, started: Callable[[Addresses], None], stop: asyncio.Event) -> None:
    started(await server.start())
    await stop.wait()
    await server.stop()


def serve(
    models: configs.ModelServerConfig, config: ServerConfig, started: Callable[[Addresses], None]
) -> None:
    """Serves until SIGINT or SIGTERM, then drains.

    Args:
        models: what to serve.
        config: how.
        started: is told the addresses.
    """

    async def until_signal() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await _serve(LocalServer(models, config), started, stop)

    asyncio.run(until_signal())


@contextmanager
def serving_in_thread(models: configs.ModelServerConfig, config: ServerConfig) -> Iterator[Addresses]:
    """A server in a thread of this process, for tests and notebooks; drains at the end.

    Raises:
        OSError: a port is taken.
    """
    up: Future[tuple[Addresses, Callable[[], object]]] = Future()

    async def until_left() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def started(addresses: Addresses) -> None:
            up.set_result((addresses, lambda: loop.call_soon_threadsafe(stop.set)))

        await _serve(LocalServer(models, config), started, stop)

    def work() -> None:
        try:
            asyncio.run(until_left())
        except BaseException as error:
            if up.done():
                raise
            up.set_exception(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    addresses, leave = up.result()
    try:
        yield addresses
    finally:
        leave()
        thread.join()
