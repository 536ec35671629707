"""Calls by REST."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

from serving.remote.arrays import NAMES
from serving.remote.errors import RequestError, understood
from serving.remote.signatures import DEFAULT, KeptSignatures, Signature, Signatures, Types
from serving.remote.steps import Arrays, Class, Features, Model, Steps, VersionStatus, Wire


class RestCalls:
    """TensorFlow Serving's JSON."""

    def __init__(self) -> None:
        self._signatures = KeptSignatures(_signatures)

    def predict(self, model: Model, signature: str, inputs: Arrays, outputs: Sequence[str]) -> Steps:
        def call(types: Signature) -> Steps:
            values = {name: _plain(array.tolist()) for name, array in types.fit(inputs).items()}
            body = json.dumps({"signature_name": signature or DEFAULT, "inputs": values}).encode()
            answer = yield Wire(f"{_path(model)}:predict", body)
            with understood():
                arrays = _arrays(json.loads(answer)["outputs"], types.outputs)
            if unknown := [name for name in outputs if name not in arrays]:
                raise RequestError("INVALID_ARGUMENT", f"output {unknown[0]} is none of {', '.join(arrays)}.")
            return {name: arrays[name] for name in outputs or arrays}

        return self._signatures.call(model, signature, call)

    def classify(
        self, model: Model, signature: str, examples: Sequence[Features], context: Features
    ) -> Steps:
        answer = yield Wire(f"{_path(model)}:classify", _examples(signature, examples, context))
        with understood():
            return [[Class(label, score) for label, score in row] for row in json.loads(answer)["results"]]

    def regress(self, model: Model, signature: str, examples: Sequence[Features], context: Features) -> Steps:
        answer = yield Wire(f"{_path(model)}:regress", _examples(signature, examples, context))
        with understood():
            return json.loads(answer)["results"]

    def status(self, model: Model) -> Steps:
        answer = yield Wire(_path(model), b"", "GET")
        with understood():
            return [
                VersionStatus(int(one["version"]), one["state"], one["status"]["error_message"])
                for one in json.loads(answer)["model_version_status"]
            ]


def _signatures(model: Model) -> Generator[Wire, bytes, Signatures]:
    answer = yield Wire(f"{_path(model)}/metadata", b"", "GET")
    with understood():
        found = json.loads(answer)["metadata"]["signature_def"]["signature_def"]
        return {
            name: Signature(_types(one.get("inputs", {})), _types(one.get("outputs", {})))
            for name, one in found.items()
        }


def _types(tensors: Mapping[str, Any]) -> Types:
    return {name: NAMES.get(info["dtype"]) for name, info in tensors.items()}


def _path(model: Model) -> str:
    path = f"/v1/models/{quote(model.name, safe='')}"
    if model.version is not None:
        return f"{path}/versions/{model.version}"
    return f"{path}/labels/{quote(model.label, safe='')}" if model.label else path


def _plain(value: Any) -> Any:
    """Bytes as text where they are text, as base64 where not."""
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _arrays(found: Any, types: Types) -> Arrays:
    """JSON has no types, and a lone output stands without its name."""
    named = dict.fromkeys(types, found) if len(types) == 1 else found
    return {name: _array(name, values, types[name]) for name, values in named.items()}


def _array(name: str, values: Any, dtype: np.dtype | None) -> np.ndarray:
    if dtype is None:
        raise TypeError(f"output {name} is of a type that the client does not know")
    return np.array(_bytes(values) if dtype.kind == "O" else values, dtype)


def _bytes(value: Any) -> Any:
    if isinstance(value, list):
        return [_bytes(one) for one in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()


def _examples(signature: str, examples: Sequence[Features], context: Features) -> bytes:
    def plain(features: Features) -> dict[str, Any]:
        return {name: _plain(_of_one_type(given)) for name, given in features.items()}

    body = {"signature_name": signature or DEFAULT, "context": plain(context)}
    return json.dumps(body | {"examples": [plain(one) for one in examples]}).encode()


def _of_one_type(given: Any) -> Any:
    """Integers beside floats as floats: a feature holds the one or the other."""
    mixed = isinstance(given, list) and {type(one) for one in given} == {int, float}
    return [float(one) for one in given] if mixed else given
