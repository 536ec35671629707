"""A call ends in time, whatever the server does, and a server that talks nonsense is at fault."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tiny_models import ANY_PORT, publish_tiny

from serving.client import AsyncClient, Client
from serving.remote import errors
from serving.server.config import one_model
from serving.server.local import serving_in_thread

HEADER = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@contextmanager
def answering(at_once: bytes, dribbled: bytes = b"") -> Iterator[str]:
    """A server that answers any request so, the second part a byte each 20 ms; its address."""

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(at_once)
            for place in range(len(dribbled)):
                time.sleep(0.02)
                connection.sendall(dribbled[place : place + 1])

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("at_once", "dribbled"), [(HEADER, b"x" * 1000), (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1000)]
)
def test_an_answer_that_comes_byte_by_byte_is_given_up(at_once: bytes, dribbled: bytes) -> None:
    with answering(at_once, dribbled) as url, Client(url, timeout_s=0.3) as client:
        started = time.monotonic()
        with pytest.raises(errors.DeadlineError):
            client.status("tiny")
        assert 0.2 < time.monotonic() - started < 3


def test_a_server_that_does_not_accept_costs_no_more_than_the_time() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]  # more than it lets wait: the next is not answered
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Client(url, timeout_s=0.3) as client, pytest.raises(errors.DeadlineError):
            client.status("tiny")

        async def ask() -> None:
            async with AsyncClient(url, timeout_s=0.3) as client:
                with pytest.raises(errors.DeadlineError):
                    await client.status("tiny")

        asyncio.run(ask())
        for one in waiting:
            one.close()


@pytest.mark.parametrize("body", [b"\xff", b"[]", b"{}", b'{"model_version_status": [3]}'])
def test_an_answer_that_is_none_is_the_servers_fault(body: bytes) -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with answering(whole) as url, Client(url) as client:
        with pytest.raises(errors.ServerError, match="INTERNAL: the answer cannot be read") as caught:
            client.status("tiny")
        assert "\n" not in str(caught.value)


def test_an_async_client_may_be_made_before_its_loop(tmp_path: Path) -> None:
    publish_tiny(tmp_path, 1, 2.0)
    with serving_in_thread(one_model("tiny", tmp_path), ANY_PORT) as where:
        for url in (f"grpc://{where.grpc}", f"http://{where.rest}"):
            client = AsyncClient(url, timeout_s=20)

            async def ask(client: AsyncClient = client) -> float:
                async with client:
                    return (await client.predict("tiny", {"x": [[1.0]]}))["y"].item()

            assert asyncio.run(ask()) == 2
