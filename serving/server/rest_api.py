"""TensorFlow Serving's REST API, metrics and health by aiohttp."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    regression_pb2,
)

from serving.server import metrics, rest_json
from serving.server.batching import Outputs
from serving.server.bodies import Bodies, BodyError
from serving.server.refusal import Code, RefusedError, invalid, refusal_of
from serving.server.service import Service, specs_of
from serving.server.tensors import from_array

_MB = 1 << 20
_MODEL = r"(?i:/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(_MODEL + r":(?P<verb>classify|regress|predict))")
_GET = re.compile(_MODEL + r"(?P<metadata>/metadata)?)")
_LARGEST = (1 << 63) - 1


class RestApi:
    """Answers HTTP requests by a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._bodies = Bodies(service.config.max_message_mb * _MB, service.config.body_timeout_s)

    def application(self) -> web.Application:
        """All of it as one application."""
        app = web.Application()
        app.router.add_get(metrics.PATH, self._metrics)
        app.router.add_get("/healthz", self._health)
        app.router.add_route("*", "/{path:(?s:.*)}", self._any)
        return app

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._service.metrics.page(), content_type="text/plain")

    async def _health(self, request: web.Request) -> web.Response:
        ready = self._service.ready()
        return web.Response(text="ok\n" if ready else "not ready\n", status=200 if ready else 503)

    async def _any(self, request: web.Request) -> web.Response:
        try:
            return _json(await self._answer(request))
        except BodyError as error:
            return _error(str(error), error.http_status)
        except Exception as error:
            refusal = refusal_of(error)
            return _error(str(refusal), refusal.http_status)

    async def _answer(self, request: web.Request) -> bytes:
        pattern = {"POST": _POST, "GET": _GET}.get(request.method)
        match = pattern.fullmatch(request.raw_path.partition("?")[0]) if pattern else None
        if not match:
            raise invalid(f"Malformed request: {request.method} {request.path}")
        spec = _spec(match)
        if request.method == "GET":
            return self._describe(spec, bool(match["metadata"]))
        verb = match["verb"].lower()
        async with (
            self._bodies.read(request) as body,
            self._service.admitted(spec.name, verb, "REST"),
        ):
            return await getattr(self, f"_{verb}")(spec, body)

    def _describe(self, spec: model_pb2.ModelSpec, metadata: bool) -> bytes:
        if not metadata:
            asked = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
            return rest_json.write_message(self._service.status(asked))
        wanted = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec, metadata_field=["signature_def"]
        )
        return rest_json.write_message(self._service.metadata(wanted))

    async def _predict(self, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
        servable = self._service.models.find(spec)
        asked = rest_json.read_predict(body)
        signature = servable.signature(asked.signature)
        values = rest_json.read_inputs(asked.inputs, signature.inputs)
        limit = self._service.config.max_candidates
        inputs = {
            name: from_array(name, rest_json.read_array(name, values[name], given.dtype), given, limit)
            for name, given in specs_of(signature, values).items()
        }

        def encode(outputs: Outputs) -> bytes:
            return rest_json.write_predict(outputs, asked.rows)

        return await self._service.run(signature, inputs, encode)

    async def _classify(self, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
        spec.signature_name, given = rest_json.read_examples(body)
        request = classification_pb2.ClassificationRequest(model_spec=spec, input=given)
        return rest_json.write_classes((await self._service.classify(request)).result)

    async def _regress(self, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
        spec.signature_name, given = rest_json.read_examples(body)
        request = regression_pb2.RegressionRequest(model_spec=spec, input=given)
        return rest_json.write_values((await self._service.regress(request)).result)


def _spec(match: re.Match) -> model_pb2.ModelSpec:
    try:
        spec = model_pb2.ModelSpec(name=unquote(match["name"], errors="strict"))
        if match["label"]:
            spec.version_label = unquote(match["label"], errors="strict")
    except ValueError as error:
        raise invalid("a name in the path is no UTF-8.") from error
    if match["version"]:
        version = int(match["version"][:20])
        if version > _LARGEST:
            raise RefusedError(
                Code.INVALID_ARGUMENT, f"Failed to convert version: {match['version']} to numeric."
            )
        spec.version.value = version
    return spec


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _error(message: str, status: int) -> web.Response:
    body: Any = json.dumps({"error": message}).encode()
    return web.Response(body=body, status=status, content_type="application/json")
