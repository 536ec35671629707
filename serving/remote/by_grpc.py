"""Calls by gRPC."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from serving.remote import wire_pb2 as wire
from serving.remote.arrays import NUMBERED, from_proto, to_proto
from serving.remote.errors import understood
from serving.remote.signatures import KeptSignatures, Signature, Signatures, Types
from serving.remote.steps import Arrays, Class, Features, Model, Steps, VersionStatus, Wire

_PREDICTION = "/tensorflow.serving.PredictionService/"
_MODELS = "/tensorflow.serving.ModelService/"
_STATES = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


class GrpcCalls:
    """The messages of TensorFlow Serving."""

    def __init__(self) -> None:
        self._signatures = KeptSignatures(_signatures)

    def predict(self, model: Model, signature: str, inputs: Arrays, outputs: Sequence[str]) -> Steps:
        def call(types: Signature) -> Steps:
            request = wire.PredictRequest(model_spec=_spec(model, signature), output_filter=outputs)
            for name, array in types.fit(inputs).items():
                request.inputs[name].CopyFrom(to_proto(array))
            answer = yield Wire(f"{_PREDICTION}Predict", request.SerializeToString())
            with understood():
                tensors = wire.PredictResponse.FromString(answer).outputs
                return {name: from_proto(tensor) for name, tensor in tensors.items()}

        return self._signatures.call(model, signature, call)

    def classify(
        self, model: Model, signature: str, examples: Sequence[Features], context: Features
    ) -> Steps:
        given: dict[str, Any] = {"model_spec": _spec(model, signature), "input": _input(examples, context)}
        answer = yield Wire(f"{_PREDICTION}Classify", wire.ClassificationRequest(**given).SerializeToString())
        with understood():
            found = wire.ClassificationResponse.FromString(answer).result.classifications
        return [[Class(one.label, one.score) for one in row.classes] for row in found]

    def regress(self, model: Model, signature: str, examples: Sequence[Features], context: Features) -> Steps:
        given: dict[str, Any] = {"model_spec": _spec(model, signature), "input": _input(examples, context)}
        answer = yield Wire(f"{_PREDICTION}Regress", wire.RegressionRequest(**given).SerializeToString())
        with understood():
            found = wire.RegressionResponse.FromString(answer).result.regressions
        return [one.value for one in found]

    def status(self, model: Model) -> Steps:
        request = wire.GetModelStatusRequest(model_spec=_spec(model))
        answer = yield Wire(f"{_MODELS}GetModelStatus", request.SerializeToString())
        with understood():
            found = wire.GetModelStatusResponse.FromString(answer).model_version_status
        return [
            VersionStatus(one.version, _STATES.get(one.state, "UNKNOWN"), one.status.error_message)
            for one in found
        ]


def _signatures(model: Model) -> Generator[Wire, bytes, Signatures]:
    request = wire.GetModelMetadataRequest(model_spec=_spec(model), metadata_field=["signature_def"])
    answer = yield Wire(f"{_PREDICTION}GetModelMetadata", request.SerializeToString())
    with understood():
        packed = wire.GetModelMetadataResponse.FromString(answer).metadata["signature_def"].value
        found = wire.SignatureDefMap.FromString(packed).signature_def
    return {name: Signature(_types(one.inputs), _types(one.outputs)) for name, one in found.items()}


def _types(tensors: Mapping[str, wire.TensorInfo]) -> Types:
    return {name: NUMBERED.get(info.dtype) for name, info in tensors.items()}


def _spec(model: Model, signature: str = "") -> wire.ModelSpec:
    spec = wire.ModelSpec(name=model.name, signature_name=signature)
    if model.label:
        spec.version_label = model.label
    if model.version is not None:
        spec.version.value = model.version
    return spec


def _input(examples: Sequence[Features], context: Features) -> wire.Input:
    listed = wire.ExampleListWithContext(examples=[_example(one) for one in examples])
    listed.context.CopyFrom(_example(context))
    return wire.Input(example_list_with_context=listed)


def _example(features: Features) -> wire.Example:
    example = wire.Example()
    for name, given in features.items():
        _fill(example.features.feature[name], given if isinstance(given, list) else [given])
    return example


def _fill(feature: Any, values: list) -> None:
    if all(isinstance(value, (str, bytes)) for value in values):
        encoded = [value.encode() if isinstance(value, str) else value for value in values]
        feature.bytes_list.value.extend(encoded)
    elif all(isinstance(value, int) for value in values):
        feature.int64_list.value.extend(values)
    else:
        feature.float_list.value.extend(values)
