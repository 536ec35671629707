"""PredictionService and ModelService by gRPC."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from serving.server.config import ServerConfig
from serving.server.refusal import refusal_of
from serving.server.service import Service

_MB = 1 << 20


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference, GetModelMetadata."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._answer(request.model_spec.name, "Predict", self._service.predict, request, context)

    async def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802
        answer = self._service.classify
        return await self._answer(request.model_spec.name, "Classify", answer, request, context)

    async def Regress(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._answer(request.model_spec.name, "Regress", self._service.regress, request, context)

    async def MultiInference(self, request: Any, context: Any) -> Any:  # noqa: N802
        name = request.tasks[0].model_spec.name if request.tasks else ""
        answer = self._service.multi_inference
        return await self._answer(name, "MultiInference", answer, request, context)

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await _or_abort(_now(self._service.metadata, request), context)

    async def _answer(
        self, name: str, api: str, answer: Callable[[Any], Awaitable[Any]], request: Any, context: Any
    ) -> Any:
        async def admitted() -> Any:
            async with self._service.admitted(name, api, "GRPC"):
                return await answer(request)

        return await _or_abort(admitted(), context)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus, HandleReloadConfigRequest."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await _or_abort(_now(self._service.status, request), context)

    async def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await _or_abort(self._service.reload(request), context)


async def _now(answer: Callable[[Any], Any], request: Any) -> Any:
    return answer(request)


async def _or_abort(answer: Awaitable[Any], context: Any) -> Any:
    try:
        return await answer
    except Exception as error:
        refusal = refusal_of(error)
    await context.abort(refusal.code, str(refusal))


def grpc_server(service: Service, config: ServerConfig) -> tuple[grpc.aio.Server, int]:
    """A server that is not started yet, and its port.

    Raises:
        OSError: the port is taken.
    """
    options = [
        ("grpc.max_receive_message_length", config.max_message_mb * _MB),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # a second server on the same port must fail
    ]
    server = grpc.aio.server(options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(service), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(service), server)
    address = f"{config.host}:{config.grpc_port}"
    try:
        return server, _bind(server, address, config)
    except RuntimeError as error:
        raise OSError(f"{address} cannot be listened at; is another server running there?") from error


def _bind(server: grpc.aio.Server, address: str, config: ServerConfig) -> int:
    if not config.tls_cert:
        return server.add_insecure_port(address)
    pair = (Path(config.tls_key).read_bytes(), Path(config.tls_cert).read_bytes())
    return server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
