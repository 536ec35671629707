"""PredictionService and ModelService by gRPC."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.server.config import ServerConfig, address_of
from serving.server.refusal import Code, RefusedError, refusal_of
from serving.server.service import Service

_MB = 1 << 20
Answer = Callable[[Any], Awaitable[Any]]


def _prediction_service(service: Service) -> dict[str, grpc.RpcMethodHandler]:
    def admitted(api: str, answer: Answer) -> Answer:
        async def let_in(request: Any) -> Any:
            async with service.admitted(_model_name(request), api, "GRPC"):
                return await answer(request)

        return let_in

    return {
        "Predict": _handler(predict_pb2.PredictRequest, admitted("Predict", service.predict)),
        "Classify": _handler(
            classification_pb2.ClassificationRequest, admitted("Classify", service.classify)
        ),
        "Regress": _handler(regression_pb2.RegressionRequest, admitted("Regress", service.regress)),
        "MultiInference": _handler(
            inference_pb2.MultiInferenceRequest, admitted("MultiInference", service.multi_inference)
        ),
        "GetModelMetadata": _handler(
            get_model_metadata_pb2.GetModelMetadataRequest, _at_once(service.metadata)
        ),
    }


def _model_service(service: Service) -> dict[str, grpc.RpcMethodHandler]:
    return {
        "GetModelStatus": _handler(get_model_status_pb2.GetModelStatusRequest, _at_once(service.status)),
        "HandleReloadConfigRequest": _handler(model_management_pb2.ReloadConfigRequest, service.reload),
    }


def _model_name(request: Any) -> str:
    tasks = getattr(request, "tasks", None)
    spec = request.model_spec if tasks is None else next((task.model_spec for task in tasks), None)
    return spec.name if spec else ""


def _at_once(answer: Callable[[Any], Any]) -> Answer:
    async def given(request: Any) -> Any:
        return answer(request)

    return given


def _handler(message: Any, answer: Answer) -> grpc.RpcMethodHandler:
    """Parses by itself: gRPC would say UNKNOWN of what is no message, TensorFlow Serving says INTERNAL."""

    async def handle(body: bytes, context: Any) -> Any:
        try:
            return await answer(_parsed(message, body))
        except Exception as error:
            refusal = refusal_of(error)
        await context.abort(refusal.code, str(refusal))

    def serialized(response: Any) -> bytes:
        return response.SerializeToString()

    return grpc.unary_unary_rpc_method_handler(handle, None, serialized)


def _parsed(message: Any, body: bytes) -> Any:
    try:
        return message.FromString(body)
    except DecodeError as error:
        raise RefusedError(Code.INTERNAL, f"the request is no {message.DESCRIPTOR.full_name}.") from error


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
    handlers = {"PredictionService": _prediction_service(service), "ModelService": _model_service(service)}
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(f"tensorflow.serving.{name}", methods)
            for name, methods in handlers.items()
        ]
    )
    address = address_of(config.host, config.grpc_port)
    try:
        return server, _bind(server, address, config)
    except RuntimeError as error:
        raise OSError(f"{address} cannot be listened at; is another server running there?") from error


def _bind(server: grpc.aio.Server, address: str, config: ServerConfig) -> int:
    if not config.tls_cert:
        return server.add_insecure_port(address)
    pair = (Path(config.tls_key).read_bytes(), Path(config.tls_cert).read_bytes())
    return server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
