"""One loaded version of a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_text  # noqa: F401 - registers the ops of SentencePiece
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from serving.server.refusal import Code, RefusedError
from serving.server.tensors import from_proto
from serving.versions import require_unchanged
from serving.warmup import WARMUP_FILE

DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
_NO_LIMIT = 1 << 40


class Signature(NamedTuple):
    """One signature: a function of named tensors.

    Attributes:
        run: takes and gives tensors by name.
        inputs, outputs: their types and shapes.
        batched: whether requests can run together, and each gets the answer that it would alone.
    """

    run: Any
    inputs: Mapping[str, tf.TensorSpec]
    outputs: Mapping[str, tf.TensorSpec]
    batched: bool


class Servable:
    """A version that can answer.

    Args:
        name: of the model.
        version: its number.
        folder: the version's folder.

    Attributes:
        signatures: by name.
        signature_defs: what the SavedModel says of them.

    Raises:
        Exception: it cannot be loaded, or does not answer its own warm-up requests.
    """

    def __init__(self, name: str, version: int, folder: Path) -> None:
        self.name, self.version = name, version
        require_unchanged(folder)
        self.signature_defs = _signature_defs(folder)
        self._module = tf.saved_model.load(str(folder))
        self.signatures = {key: _signature(run) for key, run in self._module.signatures.items()}
        self._warm_up(folder / WARMUP_FILE)

    def signature(self, name: str) -> Signature:
        """A signature by its name; "" is the default.

        Raises:
            RefusedError: FAILED_PRECONDITION, as TensorFlow Serving says it.
        """
        name = name or DEFAULT
        if name not in self.signatures:
            raise RefusedError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        return self.signatures[name]

    def _warm_up(self, path: Path) -> None:
        if not path.is_file():
            return
        for record in tf.data.TFRecordDataset(str(path)):
            log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
            if log.WhichOneof("log_type") == "predict_log":
                self._answer(log.predict_log.request)

    def _answer(self, request: Any) -> None:
        signature = self.signature(request.model_spec.signature_name)
        specs = signature.inputs.items()
        inputs = {name: from_proto(name, request.inputs[name], spec, _NO_LIMIT) for name, spec in specs}
        signature.run(**{name: given.tensor for name, given in inputs.items()})


def _signature_defs(folder: Path) -> dict[str, Any]:
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return dict(model.meta_graphs[0].signature_def)


def _signature(run: Any) -> Signature:
    inputs, outputs = run.structured_input_signature[1], run.structured_outputs
    return Signature(run, inputs, outputs, _batched(inputs, outputs))


def _batched(inputs: Mapping[str, tf.TensorSpec], outputs: Mapping[str, tf.TensorSpec]) -> bool:
    """Whether all begin with the batch, and no output is as wide as the widest of its rows.

    Requests that run together agree in all dimensions of the inputs but the first. So a width that is an
    input's is the same for all of them, but not one that comes out of, say, serialized examples.
    """
    begin = all(spec.shape.rank and spec.shape[0] is None for spec in (*inputs.values(), *outputs.values()))
    return begin and (_open(inputs) or not _open(outputs))


def _open(specs: Mapping[str, tf.TensorSpec]) -> bool:
    return any(None in spec.shape[1:].as_list() for spec in specs.values())
