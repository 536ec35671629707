"""What goes to a signature has the signature's types, by gRPC and REST alike, also after a hot swap."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tiny_models import ANY_PORT, publish_function, publish_tiny

from serving.client import Client
from serving.remote import errors
from serving.remote.arrays import to_array
from serving.server.config import one_model
from serving.server.local import Addresses, serving_in_thread

PROTOCOLS = ("grpc", "rest")


def url_of(addresses: Addresses, protocol: str) -> str:
    return f"grpc://{addresses.grpc}" if protocol == "grpc" else f"http://{addresses.rest}"


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Serves what it is given, of three types."""
    root = tmp_path_factory.mktemp("same")

    def same(ids: tf.Tensor, codes: tf.Tensor, weights: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"ids_bytes": ids, "codes": tf.identity(codes), "weights": tf.identity(weights)}

    types = (("ids", tf.string), ("codes", tf.int32), ("weights", tf.float64))
    publish_function(root, 1, same, *(tf.TensorSpec((None, None), dtype, name) for name, dtype in types))
    with serving_in_thread(one_model("same", root), ANY_PORT) as where:
        yield where


@pytest.fixture(params=PROTOCOLS)
def client(request: pytest.FixtureRequest, addresses: Addresses) -> Iterator[Client]:
    with Client(url_of(addresses, request.param), timeout_s=20) as made:
        yield made


def inputs(**changed: Any) -> dict[str, Any]:
    return {"ids": [["a"]], "codes": [[1]], "weights": [[1.0]]} | changed


@pytest.mark.parametrize("text", [[[b"abc\x00\x00"]], [["a\x00", ""]], [["ä", b"\xff\x00"]], [[]]])
def test_text_arrives_to_its_last_byte(client: Client, text: list) -> None:
    answer = client.predict("same", inputs(ids=text))["ids_bytes"].tolist()
    assert answer == [[one.encode() if isinstance(one, str) else one for one in row] for row in text]


@pytest.mark.parametrize("codes", [[[1, -2]], [[]], np.array([[3]], np.uint8), np.array([[2**31 - 1]])])
@pytest.mark.parametrize("weights", [[[0.1, 1]], [[]], [[2]], np.float32([[0.5]])])
def test_numbers_take_the_type_of_the_signature(client: Client, codes: Any, weights: Any) -> None:
    answer = client.predict("same", inputs(codes=codes, weights=weights))
    assert (answer["codes"].dtype, answer["weights"].dtype) == (np.int32, np.float64)
    assert answer["codes"].tolist() == np.asarray(codes).tolist()
    assert answer["weights"].tolist() == np.asarray(weights).tolist()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"codes": [[2**31]]}, "input codes must be int32, which cannot hold 2147483648"),
        ({"codes": [[1.5]]}, "input codes must be int32, not float64"),
        ({"codes": [["1"]]}, "input codes must be int32, not text"),
        ({"ids": [[1]]}, "input ids must be text, not int64"),
    ],
)
def test_what_a_type_cannot_hold_is_refused(client: Client, changed: dict, message: str) -> None:
    with pytest.raises(errors.RequestError, match=message):
        client.predict("same", inputs(**changed))
    assert client.predict("same", inputs())["codes"].tolist() == [[1]]


def test_a_float_beyond_the_type_is_refused(tmp_path: Path) -> None:
    publish_tiny(tmp_path, 1, 2.0)
    with serving_in_thread(one_model("tiny", tmp_path), ANY_PORT) as where:
        for protocol in PROTOCOLS:
            with Client(url_of(where, protocol), timeout_s=20) as client:
                with pytest.raises(errors.RequestError, match="float32, which cannot hold 1e\\+39"):
                    client.predict("tiny", {"x": [[1e39]]})
                assert client.predict("tiny", {"x": [[-np.inf]]})["y"].item() == -np.inf


def test_lists_of_numbers_and_text_are_no_text() -> None:
    for mixed in ([["a", 1]], [[1, "a"]]):
        with pytest.raises(TypeError, match="int among text cannot be sent"):
            to_array(mixed)


def test_a_swap_between_two_calls_changes_types_and_names(tmp_path: Path) -> None:
    """Inputs of another type, an output more, and a signature that was not there."""

    def halves(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x // 2, "rest": x % 2}

    publish_function(tmp_path, 1, lambda x: {"y": 2 * x}, tf.TensorSpec((None, None), tf.float32, "x"))
    with serving_in_thread(one_model("tiny", tmp_path), ANY_PORT) as where:
        clients = [Client(url_of(where, protocol), timeout_s=20) for protocol in PROTOCOLS]
        for client in clients:
            assert client.predict("tiny", {"x": [[3]]})["y"].tolist() == [[6.0]]
        publish_function(tmp_path, 2, halves, tf.TensorSpec((None, None), tf.int32, "x"))
        until_served(clients[0], 2)
        for client in clients:
            answer = client.predict("tiny", {"x": [[3]]})
            assert {name: (one.dtype, one.tolist()) for name, one in answer.items()} == {
                "y": (np.int32, [[1]]),
                "rest": (np.int32, [[1]]),
            }
        publish_tiny(tmp_path, 3, 5.0)
        until_served(clients[0], 3)
        for client in clients:
            assert client.predict("tiny", {"text": ["abc"]}, "echo")["length"].tolist() == [3]
            assert client.predict("tiny", {"x": [[0.5]]})["y"].tolist() == [[2.5]]
            client.close()


def until_served(client: Client, version: int) -> None:
    """Waits until it alone is served."""
    until = time.monotonic() + 20
    while [one.version for one in client.status("tiny") if one.state == "AVAILABLE"] != [version]:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_an_output_of_an_unknown_type_is_named(tmp_path: Path) -> None:
    def half(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.cast(x, tf.bfloat16)}

    publish_function(tmp_path, 1, half, tf.TensorSpec((None, None), tf.float32, "x"))
    with serving_in_thread(one_model("tiny", tmp_path), ANY_PORT) as where:
        for protocol in PROTOCOLS:
            with Client(url_of(where, protocol), timeout_s=20) as client:
                with pytest.raises(errors.ServerError, match="the client does not know"):
                    client.predict("tiny", {"x": [[1.0]]})
