"""One client for TensorFlow Serving and the local server: gRPC and REST answer alike.

The contract runs against the local server, and against a TensorFlow Serving that serves the same model as
`tiny` where SEMID_TFSERVING_GRPC and SEMID_TFSERVING_REST name one (`make tfserving-contract`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    input_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)
from tiny_models import ANY_PORT, batch, publish_tiny

from serving.client import AsyncClient, Client
from serving.remote import errors, wire_pb2
from serving.remote.arrays import from_proto, to_array, to_proto
from serving.server.config import one_model
from serving.server.local import serving_in_thread

REAL = {name: os.environ.get(f"SEMID_TFSERVING_{name.upper()}", "") for name in ("grpc", "rest")}


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    root = tmp_path_factory.mktemp("tiny")
    publish_tiny(root, 1, 2.0)
    with serving_in_thread(one_model("tiny", root), ANY_PORT) as addresses:
        local = {"local-grpc": f"grpc://{addresses.grpc}", "local-rest": f"http://{addresses.rest}"}
        yield local | {"real-grpc": REAL["grpc"], "real-rest": REAL["rest"]}


@pytest.fixture(params=["local-grpc", "local-rest", "real-grpc", "real-rest"])
def url(request: pytest.FixtureRequest, urls: dict[str, str]) -> str:
    if not urls[request.param]:
        pytest.skip("SEMID_TFSERVING_GRPC and SEMID_TFSERVING_REST name no TensorFlow Serving")
    return urls[request.param]


def test_predict(url: str) -> None:
    with Client(url) as client:
        numbers = client.predict("tiny", {"x": [[1, 2.5]]})
        strings = client.predict("tiny", {"text": np.array(["ä", b"\xff\x00"], object)}, "echo")
        lengths = client.predict("tiny", {"text": ["ab"]}, "echo", outputs=["length"], version=1)
    assert numbers["y"].dtype == np.float32
    assert numbers["y"].tolist() == [[2, 5]]
    assert strings["text_bytes"].tolist() == ["ä".encode(), b"\xff\x00"]
    assert strings["length"].dtype == np.int32
    assert (list(lengths), lengths["length"].tolist()) == (["length"], [2])


def test_status(url: str) -> None:
    with Client(url) as client:
        (status,) = client.status("tiny")
        assert (status.version, status.state, status.error) == (1, "AVAILABLE", "")


@pytest.mark.parametrize(
    ("model", "signature", "value", "options", "error"),
    [
        ("other", "", [[1.0]], {}, errors.NotFoundError),
        ("tiny", "", [[1.0]], {"version": 9}, errors.NotFoundError),
        ("tiny", "", [[1.0]], {"label": "canary"}, errors.RequestError),
        ("tiny", "none", [[1.0]], {}, errors.RequestError),
        ("tiny", "", [["text"]], {}, errors.RequestError),
        ("tiny", "", [[1.0]], {"outputs": ["z"]}, errors.RequestError),
        ("tiny", "", [[1.0]], {"timeout_s": 1e-6}, errors.DeadlineError),
    ],
)
def test_errors_are_typed(
    url: str, model: str, signature: str, value: Any, options: dict[str, Any], error: type
) -> None:
    with Client(url) as client, pytest.raises(error) as caught:
        client.predict(model, {"x": value}, signature, **options)
    assert "\n" not in str(caught.value)


def test_async_and_many_at_once(url: str) -> None:
    async def many() -> list[dict[str, np.ndarray]]:
        async with AsyncClient(url) as client:
            return await asyncio.gather(
                *(client.predict("tiny", {"x": [[i]]}) for i in map(float, range(40)))
            )

    assert [answer["y"].item() for answer in asyncio.run(many())] == [2 * i for i in range(40)]


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_nobody_there_is_unavailable_after_several_attempts(scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: every connection is refused
        url = f"{scheme}://127.0.0.1:{taken.getsockname()[1]}"
        with Client(url) as client, pytest.raises(errors.UnavailableError):
            client.predict("tiny", {"x": [[1.0]]})

        async def ask() -> None:
            async with AsyncClient(url) as client:
                with pytest.raises(errors.UnavailableError):
                    await client.status("tiny")

        asyncio.run(ask())


def test_a_server_that_comes_late_is_reached(tmp_path: Path) -> None:
    publish_tiny(tmp_path, 1, 2.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def late() -> None:
        time.sleep(0.3)
        with serving_in_thread(one_model("tiny", tmp_path), dataclasses.replace(ANY_PORT, rest_port=port)):
            done.wait(30)

    done = threading.Event()
    thread = threading.Thread(target=late)
    thread.start()
    with Client(f"http://127.0.0.1:{port}", timeout_s=20, attempts=100) as client:
        assert client.predict("tiny", {"x": [[1.0]]})["y"].item() == 2
    done.set()
    thread.join()


def test_neither_tensorflow_nor_semid_tf_is_imported() -> None:
    code = "import sys, serving.client; print([m for m in ('tensorflow', 'semid_tf') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "[]\n"


MESSAGES = [
    (wire_pb2.TensorProto, predict_pb2.PredictRequest().inputs["x"].DESCRIPTOR),
    (wire_pb2.ModelSpec, model_pb2.ModelSpec.DESCRIPTOR),
    (wire_pb2.PredictRequest, predict_pb2.PredictRequest.DESCRIPTOR),
    (wire_pb2.PredictResponse, predict_pb2.PredictResponse.DESCRIPTOR),
    (wire_pb2.Example, tf.train.Example.DESCRIPTOR),
    (wire_pb2.Input, input_pb2.Input.DESCRIPTOR),
    (wire_pb2.ClassificationRequest, classification_pb2.ClassificationRequest.DESCRIPTOR),
    (wire_pb2.ClassificationResponse, classification_pb2.ClassificationResponse.DESCRIPTOR),
    (wire_pb2.RegressionRequest, regression_pb2.RegressionRequest.DESCRIPTOR),
    (wire_pb2.RegressionResponse, regression_pb2.RegressionResponse.DESCRIPTOR),
    (wire_pb2.GetModelMetadataRequest, get_model_metadata_pb2.GetModelMetadataRequest.DESCRIPTOR),
    (wire_pb2.GetModelMetadataResponse, get_model_metadata_pb2.GetModelMetadataResponse.DESCRIPTOR),
    (wire_pb2.SignatureDefMap, get_model_metadata_pb2.SignatureDefMap.DESCRIPTOR),
    (wire_pb2.GetModelStatusRequest, get_model_status_pb2.GetModelStatusRequest.DESCRIPTOR),
    (wire_pb2.GetModelStatusResponse, get_model_status_pb2.GetModelStatusResponse.DESCRIPTOR),
]
ENUM, INT32 = 14, 5


@pytest.mark.parametrize(("ours", "theirs"), MESSAGES, ids=lambda message: getattr(message, "name", ""))
def test_messages_are_those_of_tensorflow_serving(ours: Any, theirs: Any) -> None:
    require_same_fields(ours.DESCRIPTOR, theirs)


def require_same_fields(ours: Any, theirs: Any) -> None:
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        kind = INT32 if other.type == ENUM else other.type  # both are varints
        assert (field.number, field.type, field.is_repeated) == (other.number, kind, other.is_repeated)
        if field.message_type:
            require_same_fields(field.message_type, other.message_type)


@pytest.mark.parametrize(
    "array",
    [
        batch([1, 2], [3, 4]),
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.array([True, False]),
        np.array(["ä", ""]),
        np.zeros((0, 2), np.float64),
    ],
    ids=lambda array: array.dtype.name,
)
def test_tensors_are_read_and_written_as_tensorflow_does(array: np.ndarray) -> None:
    sent = predict_pb2.PredictRequest().inputs["x"]
    sent.ParseFromString(to_proto(to_array(array)).SerializeToString())
    assert tf.make_ndarray(sent).tolist() == to_array(array).tolist()
    came = wire_pb2.TensorProto.FromString(tf.make_tensor_proto(array).SerializeToString())
    assert from_proto(came).tolist() == to_array(array).tolist()


def test_a_last_value_stands_for_all_that_follow() -> None:
    shape = wire_pb2.TensorShapeProto(dim=[{"size": 2}, {"size": 2}])
    proto = wire_pb2.TensorProto(dtype=1, tensor_shape=shape, float_val=[1.0, 7.0])
    assert from_proto(proto).tolist() == [[1, 7], [7, 7]]


def test_an_address_must_name_its_protocol() -> None:
    with pytest.raises(ValueError, match="write grpc://host:8500, http://host:8501, grpcs or https"):
        Client("localhost:8500")


def test_tls(tmp_path: Path) -> None:
    publish_tiny(tmp_path / "models", 1, 2.0)
    cert, key = self_signed(tmp_path)
    config = dataclasses.replace(ANY_PORT, tls_cert=cert, tls_key=key)
    with serving_in_thread(one_model("tiny", tmp_path / "models"), config) as addresses:
        for url in (f"grpcs://{addresses.grpc}", f"https://{addresses.rest}"):
            with Client(url, ca_file=cert) as client:
                assert client.predict("tiny", {"x": [[1.0]]})["y"].item() == 2
            with Client(url, attempts=1) as stranger, pytest.raises(errors.UnavailableError):
                stranger.status("tiny")


def self_signed(folder: Path) -> tuple[str, str]:
    """A certificate for 127.0.0.1 and its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*plain))
    return str(folder / "cert.pem"), str(folder / "key.pem")
