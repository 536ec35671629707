"""The local server speaks TensorFlow Serving's protocols, with its status codes."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2 as configs
from tiny_models import ANY_PORT, batch, publish_tiny

from serving.client import Client
from serving.remote import errors
from serving.server.config import one_model
from serving.server.local import Addresses, serving_in_thread

Code = grpc.StatusCode
AVAILABLE, END = 30, 50


class Running:
    """A running server and stubs to it."""

    def __init__(self, addresses: Addresses, root: Path) -> None:
        self.addresses, self.root = addresses, root
        self.channel = grpc.insecure_channel(addresses.grpc)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, x: Any, name: str = "tiny", **spec: Any) -> np.ndarray:
        return tf.make_ndarray(self.prediction.Predict(request(x, name, **spec)).outputs["y"])

    def states(self) -> dict[int, int]:
        asked = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "tiny"})
        return {one.version: one.state for one in self.models.GetModelStatus(asked).model_version_status}

    def wait_for(self, version: int, state: int) -> None:
        until = time.monotonic() + 20
        while self.states().get(version) != state:
            assert time.monotonic() < until, self.states()
            time.sleep(0.02)

    def post(self, path: str, body: Any) -> requests.Response:
        data = body if isinstance(body, bytes) else json.dumps(body)
        return requests.post(f"http://{self.addresses.rest}{path}", data=data, timeout=20)

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://{self.addresses.rest}{path}", timeout=20)


def request(x: Any, name: str = "tiny", **spec: Any) -> predict_pb2.PredictRequest:
    asked = predict_pb2.PredictRequest(model_spec={"name": name, **spec})
    asked.inputs["x"].CopyFrom(tf.make_tensor_proto(x))
    return asked


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    publish_tiny(tmp_path, 1, 2.0)
    with serving_in_thread(one_model("tiny", tmp_path), ANY_PORT) as addresses:
        running = Running(addresses, tmp_path)
        yield running
        running.channel.close()


def test_predict_by_grpc_and_rest(server: Running) -> None:
    assert server.predict(batch([1, 2], [3, 4])).tolist() == [[2, 4], [6, 8]]
    predict = "/v1/models/tiny:predict"
    assert server.post(predict, {"instances": [[1, 2], [3, 4]]}).json() == {"predictions": [[2, 4], [6, 8]]}
    assert server.post(predict, {"inputs": {"x": [[1.5]]}}).json() == {"outputs": [[3.0]]}
    assert server.post("/V1/Models/tiny/versions/1:Predict", {"instances": [[1]]}).json() == {
        "predictions": [[2.0]]
    }
    rows = [{"text": "é"}, {"text": {"b64": base64.b64encode(b"\xff\x00\x01").decode()}}]
    answer = server.post(predict, {"signature_name": "echo", "instances": rows}).json()
    assert answer["predictions"] == [
        {"text_bytes": {"b64": "w6k="}, "length": 2},
        {"text_bytes": {"b64": "/wAB"}, "length": 3},
    ]


def test_output_filter_and_model_spec(server: Running) -> None:
    asked = predict_pb2.PredictRequest(model_spec={"name": "tiny", "signature_name": "echo"})
    asked.inputs["text"].CopyFrom(tf.make_tensor_proto(["abc"]))
    asked.output_filter.append("length")
    answer = server.prediction.Predict(asked)
    assert (list(answer.outputs), tf.make_ndarray(answer.outputs["length"]).tolist()) == (["length"], [3])
    assert text_format.MessageToString(answer.model_spec, as_one_line=True) == (
        'name: "tiny" version { value: 1 } signature_name: "echo"'
    )


def bad_requests() -> list[tuple[str, predict_pb2.PredictRequest, grpc.StatusCode]]:
    ok = batch([1.0])
    huge = request(ok)
    huge.inputs["x"].tensor_shape.dim[0].size = 1 << 40
    negative = request(ok)
    negative.inputs["x"].tensor_shape.dim[0].size = -1
    short = request(ok)
    short.inputs["x"].tensor_content = b"abc"
    variant = request(ok)
    variant.inputs["x"].dtype = 21
    other_name = predict_pb2.PredictRequest(model_spec={"name": "tiny"})
    other_name.inputs["z"].CopyFrom(tf.make_tensor_proto(ok))
    filtered = request(ok)
    filtered.output_filter.append("z")
    return [
        ("no name", request(ok, ""), Code.INVALID_ARGUMENT),
        ("unknown model", request(ok, "../tiny"), Code.NOT_FOUND),
        ("unknown version", request(ok, version={"value": 7}), Code.NOT_FOUND),
        ("unknown label", request(ok, version_label="canary"), Code.INVALID_ARGUMENT),
        ("unknown signature", request(ok, signature_name="z"), Code.FAILED_PRECONDITION),
        ("wrong type", request(np.array([[1]])), Code.INVALID_ARGUMENT),
        ("wrong rank", request(np.float32([1])), Code.INVALID_ARGUMENT),
        ("huge shape", huge, Code.INVALID_ARGUMENT),
        ("negative shape", negative, Code.INVALID_ARGUMENT),
        ("too short", short, Code.INVALID_ARGUMENT),
        ("variant", variant, Code.INVALID_ARGUMENT),
        ("other input", other_name, Code.INVALID_ARGUMENT),
        ("unknown output", filtered, Code.INVALID_ARGUMENT),
        ("no tensor", predict_pb2.PredictRequest(model_spec={"name": "tiny"}), Code.INVALID_ARGUMENT),
        ("too large", request(np.zeros((3000, 3000), np.float32)), Code.RESOURCE_EXHAUSTED),
    ]


def test_bad_requests_get_their_code_and_one_line(server: Running) -> None:
    for name, asked, code in bad_requests():
        with pytest.raises(grpc.RpcError) as caught:
            server.prediction.Predict(asked)
        assert caught.value.code() == code, name
        assert caught.value.details() and "\n" not in caught.value.details(), name
    assert server.predict(batch([1])).tolist() == [[2]]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/models/tiny:predict", b"{", 400),
        ("/v1/models/tiny:predict", b"[" * 100_000, 400),
        ("/v1/models/tiny:predict", b"\xff", 400),
        ("/v1/models/tiny:predict", {"instances": [[1], [1, 2]]}, 400),
        ("/v1/models/tiny:predict", {"instances": [["a"]]}, 400),
        ("/v1/models/tiny:predict", {"instances": []}, 400),
        ("/v1/models/tiny:predict", {"instances": [[1e39]]}, 400),
        ("/v1/models/tiny:predict", {"inputs": {"x": [[1]]}, "instances": [[1]]}, 400),
        ("/v1/models/tiny:predict", {"inputs": {"z": [[1]]}}, 400),
        ("/v1/models/tiny:predict", {"instances": [[1]], "signature_name": "z"}, 400),
        ("/v1/models/tiny:classify", {"examples": [{"x": 1}]}, 400),
        ("/v1/models/tiny:steal", {"instances": [[1]]}, 400),
        ("/v1/models/..%2f..%2fetc:predict", {"instances": [[1]]}, 404),
        ("/v1/models/tiny/versions/9:predict", {"instances": [[1]]}, 404),
        ("/v1/models/tiny/versions/99999999999999999999:predict", {"instances": [[1]]}, 400),
        ("/v1/models/tiny/labels/x:predict", {"instances": [[1]]}, 400),
        ("/v1/models/tiny:predict", b"0" * (17 << 20), 413),
    ],
)
def test_bad_http_requests_get_their_status_and_one_line(
    server: Running, path: str, body: Any, status: int
) -> None:
    answer = server.post(path, body)
    assert answer.status_code == status, answer.text
    assert "\n" not in answer.json()["error"]


def test_nan_and_infinity_pass_through(server: Running) -> None:
    assert np.isnan(server.predict(batch([np.nan]))).all()
    text = server.post("/v1/models/tiny:predict", b'{"instances": [[NaN, -Infinity]]}').text
    assert text == '{"predictions":[[NaN,-Infinity]]}'


def test_status_metadata_metrics_and_health(server: Running) -> None:
    assert server.states() == {1: AVAILABLE}
    (state,) = server.get("/v1/models/tiny").json()["model_version_status"]
    assert state == {
        "version": "1",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    assert server.get("/v1/models/other").status_code == 404
    assert server.get("/healthz").status_code == 200
    found = server.get("/v1/models/tiny/metadata").json()["metadata"]["signature_def"]
    assert found["signature_def"]["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"
    asked = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec={"name": "tiny"}, metadata_field=["signature_def"]
    )
    packed = server.prediction.GetModelMetadata(asked).metadata["signature_def"]
    unpacked = get_model_metadata_pb2.SignatureDefMap()
    assert packed.Unpack(unpacked)
    assert {"serving_default", "echo"} <= set(unpacked.signature_def)
    server.predict(batch([1]))
    server.post("/v1/models/tiny:predict", b"{")
    server.post("/v1/models/tiny:predict", {"instances": [[1]]})
    page = server.get("/monitoring/prometheus/metrics").text
    assert ':tensorflow:serving:request_count{model_name="tiny",status="OK"} 2.0' in page
    assert ':tensorflow:serving:request_count{model_name="tiny",status="INVALID_ARGUMENT"} 1.0' in page
    for labels, count in (('API="Predict",entrypoint="GRPC"', 1.0), ('API="predict",entrypoint="REST"', 2.0)):
        name = f':tensorflow:serving:request_latency_count{{{labels},model_name="tiny"}}'
        assert f"{name} {count}" in page


def test_a_new_version_takes_over_without_one_failed_request(server: Running) -> None:
    answers: list[float] = []
    stop = threading.Event()

    def ask_by_grpc() -> float:
        return server.predict(batch([1])).item()

    def ask_by_rest() -> float:
        return server.post("/v1/models/tiny:predict", {"inputs": [[1]]}).json()["outputs"][0][0]

    def work(ask: Callable[[], float]) -> None:
        while not stop.is_set():
            answers.append(ask())

    threads = [threading.Thread(target=work, args=(ask,)) for ask in 2 * (ask_by_grpc, ask_by_rest)]
    for thread in threads:
        thread.start()
    publish_tiny(server.root, 2, 5.0)
    server.wait_for(2, AVAILABLE)
    server.wait_for(1, END)
    time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(answers) == {2.0, 5.0}
    assert answers[-1] == 5.0
    page = server.get("/monitoring/prometheus/metrics").text
    assert re.findall(r'request_count{model_name="tiny",status="(\w+)"}', page) == ["OK"]


def test_a_corrupt_version_is_refused_and_the_old_one_serves_on(server: Running, tmp_path: Path) -> None:
    whole = publish_tiny(tmp_path / "elsewhere", 2, 5.0)
    data = next((whole / "variables").glob("*.data*"))
    content = data.read_bytes()
    data.write_bytes(content[: len(content) // 2])
    whole.rename(server.root / "2")
    server.wait_for(2, END)
    assert server.states() == {1: AVAILABLE, 2: END}
    assert server.predict(batch([1])).tolist() == [[2]]
    (server.root / "2" / data.relative_to(whole)).write_bytes(content)
    server.wait_for(2, AVAILABLE)
    assert server.predict(batch([1])).tolist() == [[5]]


def test_more_candidates_than_allowed_are_refused(tmp_path: Path) -> None:
    publish_tiny(tmp_path, 1, 2.0)
    config = dataclasses.replace(ANY_PORT, max_candidates=6)
    with serving_in_thread(one_model("tiny", tmp_path), config) as addresses:
        server = Running(addresses, tmp_path)
        assert server.predict(np.ones((2, 3), np.float32)).shape == (2, 3)
        with pytest.raises(grpc.RpcError, match="input x has 8 candidates; at most 6 are allowed") as caught:
            server.predict(np.ones((2, 4), np.float32))
        assert caught.value.code() == Code.INVALID_ARGUMENT
        answer = server.post("/v1/models/tiny:predict", {"instances": [[1] * 7]})
        assert (answer.status_code, "at most 6 are allowed" in answer.text) == (400, True)
        server.channel.close()


def test_several_models_policies_and_labels(tmp_path: Path) -> None:
    for version in (1, 2, 3):
        publish_tiny(tmp_path / "a", version, version)
    publish_tiny(tmp_path / "b", 1, 9.0)
    config = configs.ModelServerConfig()
    text_format.Parse(
        f"""model_config_list {{
          config {{ name: "a" base_path: "{tmp_path}/a"
            model_version_policy {{ specific {{ versions: 1 versions: 3 }} }}
            version_labels {{ key: "stable" value: 1 }} version_labels {{ key: "canary" value: 3 }} }}
          config {{ name: "b" base_path: "{tmp_path}/b" }} }}""",
        config,
    )
    with serving_in_thread(config, ANY_PORT) as addresses:
        server, one = Running(addresses, tmp_path), batch([1])
        assert server.predict(one, "a").item() == 3
        assert server.predict(one, "a", version_label="stable").item() == 1
        assert server.predict(one, "a", version_label="canary").item() == 3
        assert server.predict(one, "b").item() == 9
        with pytest.raises(grpc.RpcError, match=r"Servable not found for request: Specific\(a, 2\)"):
            server.predict(one, "a", version={"value": 2})
        only_b = model_management_pb2.ReloadConfigRequest(config=one_model("b", tmp_path / "b"))
        assert server.models.HandleReloadConfigRequest(only_b).status.error_code == 0
        assert server.predict(one, "b").item() == 9
        with pytest.raises(grpc.RpcError, match=r"Servable not found for request: Latest\(a\)"):
            server.predict(one, "a")
        server.channel.close()


def test_too_many_requests_and_a_taken_port(tmp_path: Path) -> None:
    publish_tiny(tmp_path, 1, 2.0)
    with serving_in_thread(
        one_model("tiny", tmp_path), dataclasses.replace(ANY_PORT, max_in_flight=1)
    ) as where:
        server = Running(where, tmp_path)
        calls = [
            server.prediction.Predict.future(request(np.ones((300, 300), np.float32))) for _ in range(30)
        ]
        codes = {call.code() for call in calls}
        assert codes == {Code.OK, Code.UNAVAILABLE}
        port = int(where.grpc.split(":")[1])
        with pytest.raises(OSError, match="cannot be listened at; is another server running there"):
            with serving_in_thread(
                one_model("tiny", tmp_path), dataclasses.replace(ANY_PORT, grpc_port=port)
            ):
                pass
        server.channel.close()


def test_classify_regress_and_multi_inference_of_a_real_export(exports: Any, tmp_path: Path) -> None:
    """One context for all candidates; scores are those of `rank_item_ids`."""
    (tmp_path / "ranker").mkdir()
    (tmp_path / "ranker" / "1").symlink_to(exports["prefix"].folder)
    context, examples = {"history": ["item 1", "item 2"]}, [{"item_id": "item 3"}, {"item_id": "nobody"}]
    with serving_in_thread(one_model("ranker", tmp_path / "ranker"), ANY_PORT) as where:
        for url in (f"grpc://{where.grpc}", f"http://{where.rest}"):
            with Client(url, timeout_s=20) as client:
                inputs = {"history": [context["history"]], "candidates": [["item 3", "nobody"]]}
                scores = client.predict("ranker", inputs)["scores"][0]
                classes = client.classify("ranker", examples, context, "classify")
                assert [row[0].label for row in classes] == ["known", "unknown"]
                np.testing.assert_allclose([row[0].score for row in classes], scores, rtol=0, atol=1e-6)
                values = client.regress("ranker", examples, context, "regress")
                np.testing.assert_allclose(values, scores, rtol=0, atol=1e-6)
                with pytest.raises(errors.RequestError, match="contain at least one of"):
                    client.classify("ranker", examples, context, "regress")
        server = Running(where, tmp_path)
        asked = inference_pb2.MultiInferenceRequest()
        for name in ("classify", "regress"):
            spec = {"name": "ranker", "signature_name": name}
            asked.tasks.add(model_spec=spec, method_name=f"tensorflow/serving/{name}")
        listed = asked.input.example_list_with_context
        for given, into in ((context["history"], listed.context), (["item 3"], listed.examples.add())):
            key = "history" if into is listed.context or len(given) > 1 else "item_id"
            into.features.feature[key].bytes_list.value.extend(text.encode() for text in given)
        both = server.prediction.MultiInference(asked).results
        (row,), (value,) = (
            both[0].classification_result.classifications,
            both[1].regression_result.regressions,
        )
        np.testing.assert_allclose([row.classes[0].score, value.value], scores[0], rtol=0, atol=1e-6)
        server.channel.close()
