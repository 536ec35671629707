"""Whatever comes in, a status code and one line go out, and the server serves on.

`make fuzz` asks for 10,000 requests instead of 500.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)
from tiny_models import ANY_PORT, publish_tiny

from serving.client import Client
from serving.server.config import one_model
from serving.server.local import Addresses, serving_in_thread

EXAMPLES = int(os.environ.get("SEMID_FUZZ_EXAMPLES", "250"))  # of each protocol
GOOD_CODES = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"}
PREDICT = "/tensorflow.serving.PredictionService/Predict"
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

names = st.sampled_from(["tiny", "", "../tiny", "tiny\x00", "/etc/passwd", "ü" * 300]) | st.text(max_size=20)
sizes = st.sampled_from([0, 1, 2, -1, 1 << 20, 1 << 40, (1 << 63) - 1, -(1 << 63)])


def shape_of(sizes: list[int]) -> dict[str, Any]:
    """As a message."""
    return {"dim": [{"size": size} for size in sizes]}


tensors = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([1, 1, 1, 2, 3, 7, 7, 9, 10, 20, 21, 0, 23]),
        "tensor_shape": st.lists(sizes, max_size=4).map(
            lambda dims: {"dim": [{"size": dim} for dim in dims]}
        ),
        "tensor_content": st.binary(max_size=24),
        "float_val": st.lists(st.floats(width=32), max_size=4),
        "string_val": st.lists(st.binary(max_size=8), max_size=4),
    }
)


@st.composite
def predict_requests(draw: Any) -> bytes:
    """Requests that are wrong in one way or several, perhaps cut off."""
    spec: dict[str, Any] = {
        "name": draw(names),
        "signature_name": draw(st.sampled_from(["", "", "echo", "x"])),
    }
    if draw(st.booleans()):
        spec["version"] = {"value": draw(st.sampled_from([1, 1, 0, -1, 9, (1 << 63) - 1]))}
    inputs = draw(st.dictionaries(st.sampled_from(["x", "x", "text", ""]), tensors, max_size=2))
    request = predict_pb2.PredictRequest(model_spec=spec)
    for name, tensor in inputs.items():
        request.inputs[name].CopyFrom(type(request.inputs[name])(**tensor))
    request.output_filter.extend(draw(st.lists(st.sampled_from(["y", "z"]), max_size=2)))
    body = request.SerializeToString()
    return body[: draw(st.integers(0, len(body)))] if draw(st.integers(0, 4)) == 0 else body


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "b64", "y"]), inner),
    max_leaves=8,
)
bodies = (
    st.binary(max_size=40)
    | values.map(lambda value: json.dumps(value).encode())
    | st.builds(
        lambda key, value, name: json.dumps({key: value, "signature_name": name}).encode(),
        st.sampled_from(["instances", "inputs", "examples"]),
        values,
        st.sampled_from(["", "serving_default", "echo"]),
    )
)
paths = st.sampled_from(
    ["tiny:predict", "tiny:classify", "tiny:regress", "tiny/versions/1:predict"]
) | st.text(st.characters(codec="utf-8"), max_size=20)


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    root = tmp_path_factory.mktemp("tiny")
    publish_tiny(root, 1, 2.0)
    with serving_in_thread(one_model("tiny", root), ANY_PORT) as where:
        yield where


@pytest.fixture(autouse=True)
def serves_on(addresses: Addresses) -> Iterator[None]:
    """After each test a right request is answered rightly."""
    yield
    with Client(f"grpc://{addresses.grpc}", timeout_s=20) as client:
        assert client.predict("tiny", {"x": [[1.0]]})["y"].item() == 2


@pytest.fixture(scope="module")
def channel(addresses: Addresses) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(addresses.grpc) as opened:
        yield opened


@pytest.fixture(scope="module")
def spare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    """To another server, whose models may be taken away."""
    models = one_model("tiny", tmp_path_factory.mktemp("empty"))
    with serving_in_thread(models, ANY_PORT) as where, grpc.insecure_channel(where.grpc) as opened:
        yield opened


@pytest.fixture(scope="module")
def call(channel: grpc.Channel) -> Any:
    return channel.unary_unary(PREDICT)


@FUZZ
@given(body=predict_requests())
def test_fuzzed_grpc(call: Any, body: bytes) -> None:
    try:
        predict_pb2.PredictRequest.FromString(call(body, timeout=20))
    except grpc.RpcError as error:
        parsed = is_message(body)
        # What is no message at all is refused by gRPC itself.
        assert error.code().name in (GOOD_CODES if parsed else {"INTERNAL", *GOOD_CODES}), error
        assert "\n" not in error.details()


def is_message(body: bytes) -> bool:
    try:
        predict_pb2.PredictRequest.FromString(body)
    except Exception:
        return False
    return True


@FUZZ
@given(path=paths, body=bodies)
def test_fuzzed_rest(addresses: Addresses, path: str, body: bytes) -> None:
    url = f"http://{addresses.rest}/v1/models/{path}"
    answer = SESSION.post(url, data=body, timeout=20)
    assert answer.status_code in (200, 400, 404, 405), answer.text
    if answer.status_code != 200:
        assert "\n" not in answer.json()["error"]


SERVICES = {
    "PredictionService/Classify": classification_pb2.ClassificationRequest,
    "PredictionService/Regress": regression_pb2.RegressionRequest,
    "PredictionService/MultiInference": inference_pb2.MultiInferenceRequest,
    "PredictionService/GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
    "ModelService/GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
    "ModelService/HandleReloadConfigRequest": model_management_pb2.ReloadConfigRequest,
}
specs = st.builds(
    lambda name, signature: {"name": name, "signature_name": signature},
    names,
    st.sampled_from(["", "echo", "x"]),
)
methods = st.sampled_from(["tensorflow/serving/classify", "tensorflow/serving/regress", "x", ""])
tasks = st.builds(lambda spec, method: {"model_spec": spec, "method_name": method}, specs, methods)
examples = st.binary(max_size=8).map(
    lambda value: {"features": {"feature": {"x": {"bytes_list": {"value": [value]}}}}}
)
models = st.builds(
    lambda name, path, platform: {"name": name, "base_path": path, "model_platform": platform},
    names,
    st.sampled_from(["/missing", ""]),
    st.sampled_from(["tensorflow", "x"]),
)
FIELDS = {
    "model_spec": specs,
    "input": st.lists(examples, max_size=2).map(lambda listed: {"example_list": {"examples": listed}}),
    "tasks": st.lists(tasks, max_size=3),
    "metadata_field": st.lists(st.sampled_from(["signature_def", "x"]), max_size=2),
    "config": st.lists(models, max_size=2).map(lambda listed: {"model_config_list": {"config": listed}}),
}


@st.composite
def other_requests(draw: Any) -> tuple[str, bytes]:
    """A call and what goes to it: parts are wrong or missing, perhaps it is cut off."""
    call = draw(st.sampled_from(sorted(SERVICES)))
    names_of = SERVICES[call].DESCRIPTOR.fields_by_name
    wanted = [name for name in FIELDS if name in names_of and draw(st.integers(0, 3))]
    body = SERVICES[call](**{name: draw(FIELDS[name]) for name in wanted}).SerializeToString()
    return call, body[: draw(st.integers(0, len(body)))] if draw(st.integers(0, 4)) == 0 else body


@FUZZ
@given(asked=other_requests())
def test_fuzzed_other_calls(channel: grpc.Channel, spare: grpc.Channel, asked: tuple[str, bytes]) -> None:
    call, body = asked
    where = spare if "Reload" in call else channel
    try:
        where.unary_unary(f"/tensorflow.serving.{call}")(body, timeout=20)
    except grpc.RpcError as error:
        assert error.code().name in {"INTERNAL", "UNIMPLEMENTED", "UNKNOWN", *GOOD_CODES}, error
        if error.code().name == "INTERNAL":
            assert error.details().startswith("the request is no tensorflow.serving."), error
        if error.code().name == "UNKNOWN":
            assert error.details().startswith("Some models did not become available"), error
        assert "\n" not in error.details()


SESSION = requests.Session()


def test_a_thousand_connections_and_slow_clients_keep_nobody_waiting(addresses: Addresses) -> None:
    host, port = addresses.rest.split(":")
    idle = [socket.create_connection((host, int(port)), timeout=20) for _ in range(1000)]
    for slow in idle[:100]:
        slow.sendall(b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    try:
        with Client(f"http://{addresses.rest}", timeout_s=20) as client:
            assert client.predict("tiny", {"x": [[3.0]]})["y"].item() == 6
        with Client(f"grpc://{addresses.grpc}", timeout_s=20) as client, ThreadPoolExecutor(32) as threads:
            ask = lambda i: client.predict("tiny", {"x": [[float(i)]]})["y"].item()  # noqa: E731
            assert list(threads.map(ask, range(1000))) == [2.0 * i for i in range(1000)]
    finally:
        for connection in idle:
            connection.close()


def test_a_body_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    publish_tiny(tmp_path, 1, 2.0)
    config = dataclasses.replace(ANY_PORT, body_timeout_s=0.2)
    with serving_in_thread(one_model("tiny", tmp_path), config) as where:
        host, port = where.rest.split(":")
        with socket.create_connection((host, int(port)), timeout=20) as slow:
            slow.sendall(b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")


def closes_within(connection: socket.socket, seconds: float) -> bool:
    """Whether the other side closes a connection while a header goes there byte by byte, without end."""
    until = time.monotonic() + seconds
    connection.settimeout(0.02)
    connection.sendall(b"POST /v1/models/tiny:predict HTTP/1.1\r\nX: ")
    while time.monotonic() < until:
        try:
            connection.sendall(b"x")
            if not connection.recv(1000):
                return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


def test_a_header_that_comes_byte_by_byte_is_given_up(tmp_path: Path) -> None:
    """Both as the first of a connection and after a request; who asks in time is not cut off."""
    publish_tiny(tmp_path, 1, 2.0)
    config = dataclasses.replace(ANY_PORT, header_timeout_s=1.0)
    with serving_in_thread(one_model("tiny", tmp_path), config) as where:
        host, port = where.rest.split(":")
        address = (host, int(port))
        with socket.create_connection(address) as slow, socket.create_connection(address) as silent:
            assert closes_within(slow, 10)
            silent.settimeout(10)
            assert silent.recv(1) == b""
        with socket.create_connection(address) as kept:
            kept.settimeout(10)
            for _ in range(4):
                time.sleep(0.4)
                kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert kept.recv(1000).startswith(b"HTTP/1.1 200 ")
            assert closes_within(kept, 10)
