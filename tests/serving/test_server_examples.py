"""Classify, Regress and MultiInference answer as TensorFlow Serving's, whatever the model's outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import requests
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    input_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)
from tensorflow_serving.config import model_server_config_pb2 as configs
from tiny_models import ANY_PORT, publish

from serving.client import Client
from serving.server.local import Addresses, serving_in_thread

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
LABELS = ["Käse".encode(), b"\xff"]


def module_of(factor: float) -> tf.Module:
    """Labels, scores, both, ragged ones, and `factor * sum(v)`."""
    module = tf.Module()

    def add(name: str, function: Any) -> None:
        specs = [tf.TensorSpec((None,), tf.string, "inputs")]
        setattr(module, name, tf.function(function, input_signature=specs))

    def rows(inputs: tf.Tensor, values: list) -> tf.Tensor:
        return tf.tile(tf.constant([values]), [tf.size(inputs), 1])

    add("labels", lambda inputs: {"classes": rows(inputs, LABELS)})
    add("scores", lambda inputs: {"scores": rows(inputs, [0.25, 0.5])})
    add("both", lambda inputs: {"classes": rows(inputs, LABELS), "scores": rows(inputs, [0.25, 0.5])})
    add("unlike", lambda inputs: {"classes": rows(inputs, LABELS), "scores": rows(inputs, [0.25])})

    def regress(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.io.parse_example(inputs, {"v": tf.io.FixedLenFeature((2,), tf.float32)})["v"]
        return {"outputs": factor * tf.reduce_sum(values, axis=1)}

    add("regress", regress)
    return module


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Two versions at a time."""
    root = tmp_path_factory.mktemp("examples")
    for version in (1, 2):
        module = module_of(float(version))
        names = ("labels", "scores", "both", "unlike", "regress")
        publish(root, version, module, **{name: getattr(module, name) for name in names})
    config = text_format.Parse(
        f"""model_config_list {{ config {{ name: "examples" base_path: "{root}" model_platform: "tensorflow"
            model_version_policy {{ all {{}} }} }} }}""",
        configs.ModelServerConfig(),
    )
    with serving_in_thread(config, ANY_PORT) as where:
        yield where


@pytest.fixture(scope="module")
def stub(addresses: Addresses) -> Iterator[Any]:
    with grpc.insecure_channel(addresses.grpc) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def given() -> input_pb2.Input:
    """One example."""
    example = tf.train.Example()
    example.features.feature["v"].float_list.value.extend([1.0, 2.0])
    return input_pb2.Input(example_list=input_pb2.ExampleList(examples=[example]))


def spec(signature: str, **more: Any) -> dict[str, Any]:
    return {"name": "examples", "signature_name": signature, **more}


@pytest.mark.parametrize(
    ("signature", "classes"),
    [
        ("both", [("Käse", 0.25), ("\ufffd", 0.5)]),
        ("labels", [("Käse", 0.0), ("\ufffd", 0.0)]),
        ("scores", [("", 0.25), ("", 0.5)]),
    ],
)
def test_labels_or_scores_may_be_missing(stub: Any, signature: str, classes: list) -> None:
    asked = classification_pb2.ClassificationRequest(model_spec=spec(signature), input=given())
    (row,) = stub.Classify(asked).result.classifications
    assert [(one.label, one.score) for one in row.classes] == classes


def test_what_is_no_such_signature_is_an_invalid_argument(stub: Any) -> None:
    def multi(signature: str, method: str) -> Any:
        task = inference_pb2.InferenceTask(model_spec=spec(signature), method_name=method)
        return inference_pb2.MultiInferenceRequest(tasks=[task], input=given())

    def classify(signature: str) -> Any:
        return classification_pb2.ClassificationRequest(model_spec=spec(signature), input=given())

    def regress(signature: str) -> Any:
        return regression_pb2.RegressionRequest(model_spec=spec(signature), input=given())

    calls = [
        (stub.Classify, classify("none"), "No signature was found with the name: none"),
        (stub.Classify, classify(""), "No signature was found with the name: serving_default"),
        (stub.Classify, classify("regress"), 'contain at least one of "classes" or "scores"'),
        (stub.Classify, classify("unlike"), "Expected Tensor shape"),
        (stub.Regress, regress("none"), "No signature was found with the name: none"),
        (stub.Regress, regress("both"), 'outputs to contain "outputs"'),
        (stub.MultiInference, multi("none", REGRESS), "No signature was found with the name: none"),
        (stub.MultiInference, multi("regress", CLASSIFY), 'contain at least one of "classes" or "scores"'),
        (stub.MultiInference, inference_pb2.MultiInferenceRequest(), "ModelSpec has no name specified"),
    ]
    for call, asked, message in calls:
        with pytest.raises(grpc.RpcError, match=message) as caught:
            call(asked)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT, message


def test_one_version_makes_all_inferences(stub: Any) -> None:
    """That of the first task: to look for it again could find another by then."""
    first = inference_pb2.InferenceTask(model_spec=spec("regress", version={"value": 1}), method_name=REGRESS)
    latest = inference_pb2.InferenceTask(model_spec=spec("both"), method_name=CLASSIFY)
    asked = inference_pb2.MultiInferenceRequest(tasks=[first, latest], input=given())
    results = stub.MultiInference(asked).results
    assert [one.model_spec.version.value for one in results] == [1, 1]
    assert [one.value for one in results[0].regression_result.regressions] == [3.0]
    assert results[1].classification_result.classifications[0].classes[0].label == "Käse"


def test_a_feature_is_of_one_type(addresses: Addresses) -> None:
    """The client sends integers beside floats as floats; the server takes no mixture."""
    for url in (f"grpc://{addresses.grpc}", f"http://{addresses.rest}"):
        with Client(url, timeout_s=20) as client:
            assert client.regress("examples", [{"v": [1, 0.5]}], signature="regress") == [3.0]
    body = {"signature_name": "regress", "examples": [{"v": [1, 0.5]}]}
    answer = requests.post(f"http://{addresses.rest}/v1/models/examples:regress", json=body, timeout=20)
    assert answer.status_code == 400
    assert "feature v must be numbers or strings of one type: got float, int" in answer.json()["error"]
