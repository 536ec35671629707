"""What HTTP alone has: bodies, their encoding and size, and rows."""

from __future__ import annotations

import dataclasses
import gzip
import json
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
import tensorflow as tf
from tiny_models import ANY_PORT, publish_function, publish_tiny

from serving.server.config import one_model
from serving.server.local import serving_in_thread
from serving.server.refusal import Code, RefusedError
from serving.server.rest_json import write_predict

PREDICT = "/v1/models/tiny:predict"


def test_a_body_must_be_encoded_as_its_header_says(tmp_path: Path) -> None:
    publish_tiny(tmp_path, 1, 2.0)
    with serving_in_thread(one_model("tiny", tmp_path), ANY_PORT) as where:
        body, encoded = json.dumps({"instances": [[1]]}).encode(), {"Content-Encoding": "gzip"}
        url = f"http://{where.rest}{PREDICT}"
        answer = requests.post(url, data=gzip.compress(body), headers=encoded, timeout=20)
        assert answer.json() == {"predictions": [[2.0]]}
        answer = requests.post(url, data=body, headers=encoded, timeout=20)
        assert (answer.status_code, answer.json()["error"]) == (400, "The body is not what its header says.")


def test_all_bodies_together_are_bounded(tmp_path: Path) -> None:
    """Eighteen of nearly a megabyte are too many; small ones still pass, and all do when those have ended."""
    publish_tiny(tmp_path, 1, 2.0)
    config = dataclasses.replace(ANY_PORT, max_message_mb=1)
    large = b" " * 950_000 + b'{"instances": [[1]]}'
    with serving_in_thread(one_model("tiny", tmp_path), config) as where, ExitStack() as stack:
        url, (host, port) = f"http://{where.rest}{PREDICT}", where.rest.split(":")

        def hold() -> None:
            slow = stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
            slow.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode())
            slow.sendall(b" " * 950_000)

        for _ in range(18):
            hold()
        until = time.monotonic() + 20
        while (answer := requests.post(url, data=large, timeout=20)).status_code != 503:
            assert time.monotonic() < until
            hold()  # one of those before may have been refused in place of this request
        assert answer.json()["error"] == "Too many large bodies are under way; try again later."
        assert requests.post(url, data=large[949_000:], timeout=20).json() == {"predictions": [[2.0]]}
        stack.close()
        while requests.post(url, data=large, timeout=20).status_code != 200:
            assert time.monotonic() < until


def test_outputs_of_unlike_rows_are_no_rows(tmp_path: Path) -> None:
    def unlike(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x, "z": tf.zeros((3,))}

    publish_function(tmp_path, 1, unlike, tf.TensorSpec((None,), tf.float32, "x"))
    with serving_in_thread(one_model("tiny", tmp_path), ANY_PORT) as where:
        url = f"http://{where.rest}{PREDICT}"
        answer = requests.post(url, json={"instances": [1]}, timeout=20)
        assert answer.status_code == 400
        assert answer.json()["error"] == "the outputs differ in rows; ask with inputs instead of instances."
        answer = requests.post(url, json={"inputs": [1]}, timeout=20)
        assert answer.json() == {"outputs": {"y": [1.0], "z": [0.0, 0.0, 0.0]}}
    with pytest.raises(RefusedError) as caught:
        write_predict({"y": tf.zeros((2,)), "z": tf.zeros((3,))}, rows=True)
    assert caught.value.code == Code.INVALID_ARGUMENT


def test_text_that_is_none_goes_as_base64_whatever_its_name() -> None:
    outputs = {"text": tf.constant(["\u00e9", b"\xff"]), "text_bytes": tf.constant(["a", "b"])}
    assert json.loads(write_predict(outputs, rows=False))["outputs"] == {
        "text": ["\u00e9", {"b64": "/w=="}],
        "text_bytes": [{"b64": "YQ=="}, {"b64": "Yg=="}],
    }
