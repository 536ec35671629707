"""Calls by REST. JSON has no types: those of the outputs are asked for once a model, and kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np

from serving.remote.arrays import NAMES
from serving.remote.errors import RequestError
from serving.remote.steps import Arrays, Class, Features, Model, Steps, VersionStatus, Wire

_DEFAULT = "serving_default"


class RestCalls:
    """TensorFlow Serving's JSON."""

    def __init__(self) -> None:
        self._signatures: dict[Model, Mapping[str, Any]] = {}

    def predict(self, model: Model, signature: str, inputs: Arrays, outputs: Sequence[str]) -> Steps:
        if model not in self._signatures:
            answer = yield Wire(f"{_path(model)}/metadata", b"", "GET")
            self._signatures[model] = json.loads(answer)["metadata"]["signature_def"]["signature_def"]
        values = {name: _plain(array.tolist()) for name, array in inputs.items()}
        body = json.dumps({"signature_name": signature or _DEFAULT, "inputs": values}).encode()
        answer = yield Wire(f"{_path(model)}:predict", body)
        types = self._signatures[model].get(signature or _DEFAULT, {}).get("outputs", {})
        found = json.loads(answer)["outputs"]
        arrays = _arrays(found, {name: NAMES[info["dtype"]] for name, info in types.items()})
        if unknown := [name for name in outputs if name not in arrays]:
            raise RequestError("INVALID_ARGUMENT", f"output {unknown[0]} is none of {', '.join(arrays)}.")
        return {name: arrays[name] for name in outputs or arrays}

    def classify(
        self, model: Model, signature: str, examples: Sequence[Features], context: Features
    ) -> Steps:
        answer = yield Wire(f"{_path(model)}:classify", _examples(signature, examples, context))
        return [[Class(label, score) for label, score in row] for row in json.loads(answer)["results"]]

    def regress(self, model: Model, signature: str, examples: Sequence[Features], context: Features) -> Steps:
        answer = yield Wire(f"{_path(model)}:regress", _examples(signature, examples, context))
        return json.loads(answer)["results"]

    def status(self, model: Model) -> Steps:
        answer = yield Wire(_path(model), b"", "GET")
        found = json.loads(answer)["model_version_status"]
        return [
            VersionStatus(int(one["version"]), one["state"], one["status"]["error_message"]) for one in found
        ]


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


def _arrays(found: Any, types: Mapping[str, np.dtype]) -> Arrays:
    """A lone output stands without its name."""
    named = dict.fromkeys(types, found) if len(types) == 1 else found
    return {name: _array(values, types[name]) for name, values in named.items()}


def _array(values: Any, dtype: np.dtype) -> np.ndarray:
    return np.array(_bytes(values) if dtype.kind == "O" else values, dtype)


def _bytes(value: Any) -> Any:
    if isinstance(value, list):
        return [_bytes(one) for one in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()


def _examples(signature: str, examples: Sequence[Features], context: Features) -> bytes:
    def plain(features: Features) -> dict[str, Any]:
        return {name: _plain(given) for name, given in features.items()}

    body = {"signature_name": signature or _DEFAULT, "context": plain(context)}
    return json.dumps(body | {"examples": [plain(one) for one in examples]}).encode()
