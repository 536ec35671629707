"""The calls that a server answers, whatever the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

import semid_tf as sid
from serving.server.batching import Batcher, Outputs, Work
from serving.server.config import ServerConfig, require_models
from serving.server.examples import (
    CLASSIFY,
    REGRESS,
    classifications,
    classifier,
    regressions,
    regressor,
    serialized_examples,
)
from serving.server.metrics import Metrics
from serving.server.models import Models
from serving.server.refusal import Code, RefusedError, invalid
from serving.server.servable import DEFAULT, Servable, Signature
from serving.server.tensors import Input, from_array, from_proto, to_protos


class Service:
    """Answers requests by models.

    Args:
        config: limits and batching.
    """

    def __init__(self, config: ServerConfig) -> None:
        self.config, self.models, self.metrics = config, Models(), Metrics()
        self._batcher = Batcher(config.max_batch, config.workers)
        self._in_flight, self._draining = 0, False

    def ready(self) -> bool:
        """Whether requests to every model are answered."""
        return not self._draining and self.models.ready()

    @asynccontextmanager
    async def admitted(self, name: str, api: str, entrypoint: str) -> AsyncIterator[None]:
        """Lets a request in, if there is room.

        Raises:
            RefusedError: UNAVAILABLE, too many requests are under way, or the server stops.
        """
        with self.metrics.watch(name if self.models.known(name) else "", api, entrypoint):
            if self._draining:
                raise RefusedError(Code.UNAVAILABLE, "The server is shutting down.")
            if self._in_flight >= self.config.max_in_flight:
                raise RefusedError(
                    Code.UNAVAILABLE, f"{self._in_flight} requests are under way; try again later."
                )
            self._in_flight += 1
            try:
                yield
            finally:
                self._in_flight -= 1

    async def drain(self) -> None:
        """Lets nobody in any more, and waits for those who are."""
        self._draining = True
        async with asyncio.timeout(self.config.drain_s):
            while self._in_flight:
                await asyncio.sleep(0.01)

    def close(self) -> None:
        """Ends the threads."""
        self._batcher.close()
        self.models.close()

    async def run(
        self, signature: Signature, inputs: Mapping[str, Input], encode: Callable[[Outputs], Any]
    ) -> Any:
        """Calls a signature with checked inputs."""
        return await self._batcher.run(Work(signature, inputs, encode))

    async def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Outputs of a signature."""
        servable = self.models.find(request.model_spec)
        signature = servable.signature(request.model_spec.signature_name)
        wanted = wanted_outputs(signature, request.output_filter)
        inputs = {
            name: from_proto(name, request.inputs[name], spec, self.config.max_candidates)
            for name, spec in specs_of(signature, request.inputs).items()
        }

        def encode(outputs: Outputs) -> predict_pb2.PredictResponse:
            response = predict_pb2.PredictResponse(model_spec=_spec(servable, request.model_spec))
            to_protos({name: outputs[name] for name in wanted}, response.outputs)
            return response

        return await self.run(signature, inputs, encode)

    async def classify(
        self, request: classification_pb2.ClassificationRequest
    ) -> classification_pb2.ClassificationResponse:
        """Labels and scores of examples."""
        servable = self.models.find(request.model_spec)
        return classification_pb2.ClassificationResponse(
            model_spec=_spec(servable, request.model_spec),
            result=await self._classes(servable, request.model_spec, request.input),
        )

    async def regress(self, request: regression_pb2.RegressionRequest) -> regression_pb2.RegressionResponse:
        """Values of examples."""
        servable = self.models.find(request.model_spec)
        return regression_pb2.RegressionResponse(
            model_spec=_spec(servable, request.model_spec),
            result=await self._values(servable, request.model_spec, request.input),
        )

    async def multi_inference(
        self, request: inference_pb2.MultiInferenceRequest
    ) -> inference_pb2.MultiInferenceResponse:
        """Several classifications and regressions of the same examples by one version of one model."""
        specs = [task.model_spec for task in request.tasks]
        if len({spec.name for spec in specs}) > 1:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        names = [spec.signature_name or DEFAULT for spec in specs]
        if len(set(names)) < len(names):
            raise invalid("Duplicate evaluation of a signature.")
        servable = self.models.find(specs[0] if specs else model_pb2.ModelSpec())
        results = [await self._inference(servable, task, request.input) for task in request.tasks]
        return inference_pb2.MultiInferenceResponse(results=results)

    async def _inference(self, servable: Servable, task: Any, given: Any) -> inference_pb2.InferenceResult:
        result = inference_pb2.InferenceResult(model_spec=_spec(servable, task.model_spec))
        if task.method_name == CLASSIFY:
            result.classification_result.CopyFrom(await self._classes(servable, task.model_spec, given))
        elif task.method_name == REGRESS:
            result.regression_result.CopyFrom(await self._values(servable, task.model_spec, given))
        else:
            raise RefusedError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
        return result

    async def _classes(
        self, servable: Servable, spec: model_pb2.ModelSpec, given: Any
    ) -> classification_pb2.ClassificationResult:
        return await self._of_examples(classifier(servable, spec.signature_name), given, classifications)

    async def _values(
        self, servable: Servable, spec: model_pb2.ModelSpec, given: Any
    ) -> regression_pb2.RegressionResult:
        return await self._of_examples(regressor(servable, spec.signature_name), given, regressions)

    async def _of_examples(self, signature: Signature, given: Any, encode: Callable[[Outputs], Any]) -> Any:
        ((name, spec),) = signature.inputs.items()
        inputs = {name: from_array(name, serialized_examples(given), spec, self.config.max_candidates)}
        return await self.run(signature, inputs, encode)

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures of a version."""
        if list(request.metadata_field) != ["signature_def"]:
            raise invalid(f"metadata_field must be signature_def, got {list(request.metadata_field)}.")
        servable = self.models.find(request.model_spec)
        spec = model_pb2.ModelSpec(name=servable.name)
        spec.version.value = servable.version
        response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=spec)
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=servable.signature_defs)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """The states of a model's versions."""
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        return get_model_status_pb2.GetModelStatusResponse(
            model_version_status=self.models.states(request.model_spec)
        )

    async def reload(
        self, request: model_management_pb2.ReloadConfigRequest
    ) -> model_management_pb2.ReloadConfigResponse:
        """Serves other models; what both configurations have stays loaded.

        Raises:
            RefusedError: INVALID_ARGUMENT, it is no configuration; UNKNOWN, nothing of a model is loaded.
        """
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid("ReloadConfigRequest must have a model_config_list.")
        try:
            require_models(request.config)
        except sid.ConfigError as error:
            raise invalid(str(error)) from error
        if missing := await self.models.configure(request.config):
            raise RefusedError(
                Code.UNKNOWN, f"Some models did not become available: {{{', '.join(missing)}}}"
            )
        response = model_management_pb2.ReloadConfigResponse()
        response.status.error_code = 0
        return response


def specs_of(signature: Signature, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The inputs of a signature.

    Raises:
        RefusedError: INVALID_ARGUMENT if others are given.
    """
    if set(given) != set(signature.inputs):
        extra, missing = set(given) - set(signature.inputs), set(signature.inputs) - set(given)
        raise invalid(
            f"input size does not match signature: {len(given)}!={len(signature.inputs)} Sent extra: "
            f"{{{','.join(sorted(extra))}}}. Missing but required: {{{','.join(sorted(missing))}}}."
        )
    return signature.inputs


def wanted_outputs(signature: Signature, output_filter: Any) -> list[str]:
    """Outputs that are asked for; all without a filter.

    Raises:
        RefusedError: INVALID_ARGUMENT if one is unknown or comes twice.
    """
    wanted = list(output_filter) or list(signature.outputs)
    if unknown := [name for name in wanted if name not in signature.outputs]:
        raise invalid(f"output tensor alias not found in signature: {unknown[0]}")
    if len(set(wanted)) < len(wanted):
        raise invalid("duplicate output tensor alias")
    return wanted


def _spec(servable: Servable, asked: model_pb2.ModelSpec) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=servable.name, signature_name=asked.signature_name or DEFAULT)
    spec.version.value = servable.version
    return spec
