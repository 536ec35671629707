"""Who is unavailable is asked again, within the time; nobody else is."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from serving.client import Client
from serving.remote import errors

STATUS = {"model_version_status": []}


class Scripted:
    """An HTTP server that answers with given status codes, in turn, the last for ever.

    Attributes:
        asked: when each request came.
        connections: how many.
    """

    def __init__(self, *codes: int) -> None:
        self.codes, self.asked, self.connections = list(codes), list[float](), 0

    @contextmanager
    def running(self) -> Iterator[str]:
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                script.connections += 1
                super().setup()

            def do_GET(self) -> None:
                script.asked.append(time.monotonic())
                code = script.codes.pop(0) if len(script.codes) > 1 else script.codes[0]
                body = json.dumps(STATUS if code == 200 else {"error": f"it is {code}"}).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()


def test_unavailable_is_asked_as_often_as_allowed_over_one_connection() -> None:
    for codes, attempts in (([503, 503, 200], 3), ([503, 503, 503, 200], 4)):
        script = Scripted(*codes)
        with script.running() as url, Client(url, attempts=attempts) as client:
            assert client.status("tiny") == []
        assert (len(script.asked), script.connections) == (attempts, 1)
    script = Scripted(503)
    with script.running() as url, Client(url, attempts=4) as client:
        with pytest.raises(errors.UnavailableError, match="UNAVAILABLE: it is 503"):
            client.status("tiny")
    assert len(script.asked) == 4


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, errors.RequestError),
        (404, errors.NotFoundError),
        (413, errors.TooLargeError),
        (500, errors.ServerError),
        (504, errors.DeadlineError),
    ],
)
def test_nothing_else_is_asked_again(code: int, error: type[Exception]) -> None:
    script = Scripted(code, 200)
    with script.running() as url, Client(url, attempts=5) as client, pytest.raises(error):
        client.status("tiny")
    assert len(script.asked) == 1


def test_all_attempts_share_one_deadline() -> None:
    script = Scripted(503)
    with script.running() as url, Client(url, timeout_s=0.5, attempts=10_000) as client:
        started = time.monotonic()
        with pytest.raises((errors.UnavailableError, errors.DeadlineError)):
            client.status("tiny")
        assert time.monotonic() - started < 2
    assert len(script.asked) > 1


def test_calls_share_a_connection() -> None:
    script = Scripted(200)
    with script.running() as url, Client(url) as client:
        for _ in range(5):
            client.status("tiny")
    assert (len(script.asked), script.connections) == (5, 1)
