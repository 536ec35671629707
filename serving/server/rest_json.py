"""TensorFlow Serving's JSON: rows (`instances`, `predictions`) or columns (`inputs`, `outputs`)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import input_pb2

from serving.server.batching import Outputs
from serving.server.refusal import invalid

_KINDS = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}


class Asked(NamedTuple):
    """A request to predict.

    Attributes:
        signature: its name, "" = the default.
        inputs: plain values by name; of one input, perhaps the value itself.
        rows: whether they came by rows, and the answer goes so.
    """

    signature: str
    inputs: Any
    rows: bool


def read_object(body: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        RefusedError: INVALID_ARGUMENT, it is none.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error or 'nested too deeply'}") from error
    if not isinstance(value, dict):
        raise invalid("JSON Value: the request must be an object.")
    return value


def read_predict(body: bytes) -> Asked:
    """A request to predict.

    Raises:
        RefusedError: INVALID_ARGUMENT, it has neither or both of instances and inputs.
    """
    value = read_object(body)
    signature = value.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid("signature_name must be a string.")
    if ("instances" in value) == ("inputs" in value):
        raise invalid("Request must have one of the keys instances and inputs.")
    if "inputs" in value:
        return Asked(signature, value["inputs"], False)
    rows = value["instances"]
    if not isinstance(rows, list) or not rows:
        raise invalid("instances must be a list of at least one row.")
    return Asked(signature, _columns(rows), True)


def _columns(rows: list[Any]) -> Any:
    """Rows as columns: named inputs if rows are objects, and not base64."""
    if not isinstance(rows[0], dict) or rows[0].keys() == {"b64"}:
        return rows
    names = rows[0].keys()
    if any(not isinstance(row, dict) or row.keys() != names for row in rows):
        raise invalid("every instance must have the same inputs.")
    return {name: [row[name] for row in rows] for name in names}


def read_inputs(inputs: Any, specs: Mapping[str, tf.TensorSpec]) -> Mapping[str, Any]:
    """Values by name; a lone value belongs to the only input."""
    if isinstance(inputs, dict) and inputs.keys() != {"b64"}:
        return inputs
    if len(specs) != 1:
        raise invalid(f"inputs must be an object with the keys {', '.join(sorted(specs))}.")
    return dict.fromkeys(specs, inputs)


def read_array(name: str, value: Any, dtype: tf.DType) -> np.ndarray:
    """A plain value as an array of a type.

    Raises:
        RefusedError: INVALID_ARGUMENT, ragged, of another type or out of its range.
    """
    try:
        return _strings(value) if dtype == tf.string else _numbers(value, dtype.as_numpy_dtype)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise invalid(f"input {name} must be a regular array of {dtype.name}: {error}") from error


def _numbers(value: Any, dtype: Any) -> np.ndarray:
    array = np.array(value)
    wanted = np.dtype(dtype).kind
    if array.size and array.dtype.kind not in _KINDS.get(wanted, ""):
        raise TypeError(f"got {array.dtype.name}")
    if array.size and wanted in "iu":
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise OverflowError("a value is out of range")
    with np.errstate(over="ignore"):
        there = array.astype(dtype)
    if wanted == "f" and not np.array_equal(np.isfinite(there), np.isfinite(array)):
        raise OverflowError("a value is out of range")
    return there


def _strings(value: Any) -> np.ndarray:
    array = np.array(_bytes(value), object)
    if not all(isinstance(one, bytes) for one in array.flat):
        raise TypeError("lists differ in length")
    return array


def _bytes(value: Any) -> Any:
    if isinstance(value, list):
        return [_bytes(one) for one in value]
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and value.keys() == {"b64"}:
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, TypeError) as error:
            raise ValueError("b64 is no base64") from error
    raise TypeError(f"got {type(value).__name__}")


def write_predict(outputs: Outputs, rows: bool) -> bytes:
    """The answer, by rows or by columns; a lone output stands without its name."""
    values = {name: _plain(name, tensor.numpy()) for name, tensor in outputs.items()}
    lone = next(iter(values.values())) if len(values) == 1 else None
    if not rows:
        return _dumps({"outputs": values if lone is None else lone})
    if any(not isinstance(value, list) for value in values.values()):
        raise invalid("an output has no rows; ask with inputs instead of instances.")
    if len({len(value) for value in values.values()}) > 1:
        raise invalid("the outputs differ in rows; ask with inputs instead of instances.")
    listed = lone or [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return _dumps({"predictions": listed})


def _dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _plain(name: str, array: Any) -> Any:
    """Nested lists; bytes as text, or as base64 where the name or the content asks for it."""
    array = np.asarray(array)
    return _texts(array.tolist(), name.endswith("_bytes")) if array.dtype == object else array.tolist()


def _texts(value: Any, as_base64: bool) -> Any:
    if isinstance(value, list):
        return [_texts(one, as_base64) for one in value]
    try:
        if not as_base64:
            return value.decode()
    except UnicodeDecodeError:
        pass
    return {"b64": base64.b64encode(value).decode()}


def read_examples(body: bytes) -> tuple[str, input_pb2.Input]:
    """The signature and the examples of a request to classify or regress.

    Raises:
        RefusedError: INVALID_ARGUMENT, there is no list of examples, or a feature is of no type.
    """
    value = read_object(body)
    examples, signature = value.get("examples"), value.get("signature_name", "")
    if not isinstance(examples, list) or not examples or not isinstance(signature, str):
        raise invalid("Request must have a list of examples, and signature_name must be a string.")
    listed = input_pb2.ExampleListWithContext(examples=[_example(one) for one in examples])
    if "context" in value:
        listed.context.CopyFrom(_example(value["context"]))
    return signature, input_pb2.Input(example_list_with_context=listed)


def _example(value: Any) -> tf.train.Example:
    if not isinstance(value, dict):
        raise invalid("an example must be an object of features.")
    example = tf.train.Example()
    for name, given in value.items():
        given = given if isinstance(given, list) else [given]
        try:
            _fill(example.features.feature[name], given)
        except (TypeError, ValueError, OverflowError) as error:
            raise invalid(f"feature {name} must be numbers or strings of one type: {error}") from error
    return example


def _fill(feature: Any, given: list[Any]) -> None:
    if all(isinstance(one, (str, dict)) for one in given):
        feature.bytes_list.value.extend(_bytes(given))
    elif all(isinstance(one, int) for one in given):
        feature.int64_list.value.extend(given)
    elif all(isinstance(one, float) for one in given):
        feature.float_list.value.extend(given)
    else:
        raise TypeError(f"got {', '.join(sorted({type(one).__name__ for one in given}))}")


def write_classes(result: Any) -> bytes:
    """`[[label, score], ...]` for each example."""
    rows = [[[one.label, one.score] for one in example.classes] for example in result.classifications]
    return _dumps({"results": rows})


def write_values(result: Any) -> bytes:
    """The value of each example."""
    return _dumps({"results": [one.value for one in result.regressions]})


def write_message(message: Any) -> bytes:
    """A proto, every field of it."""
    text = json_format.MessageToJson(
        message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
    )
    return text.encode()
