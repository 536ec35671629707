"""Tensors of requests: type and shape are checked before any memory is taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from serving.server.refusal import invalid


class Input(NamedTuple):
    """One input of a request: its shape, and how to make the tensor."""

    shape: tuple[int, ...]
    tensor: Callable[[], tf.Tensor]


def from_proto(name: str, proto: tensor_pb2.TensorProto, spec: tf.TensorSpec, limit: int) -> Input:
    """An input as it comes by gRPC.

    Raises:
        RefusedError: INVALID_ARGUMENT for another type, a shape that does not fit, or too many elements.
    """
    if proto.dtype != spec.dtype.as_datatype_enum:
        raise invalid(f"input {name} has type number {proto.dtype}; it must be {spec.dtype.name}.")
    if proto.tensor_shape.unknown_rank:
        raise invalid(f"input {name} has no shape.")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    _require_shape(name, shape, spec, limit)
    return Input(shape, lambda: tf.io.parse_tensor(proto.SerializeToString(), spec.dtype))


def from_array(name: str, array: np.ndarray, spec: tf.TensorSpec, limit: int) -> Input:
    """An input as NumPy.

    Raises:
        RefusedError: INVALID_ARGUMENT for a shape that does not fit, or too many elements.
    """
    _require_shape(name, array.shape, spec, limit)
    return Input(array.shape, lambda: tf.constant(array, spec.dtype))


def _require_shape(name: str, shape: Sequence[int], spec: tf.TensorSpec, limit: int) -> None:
    if min(shape, default=0) < 0 or not spec.shape.is_compatible_with(shape):
        raise invalid(f"input {name} has shape {list(shape)}; it must be {spec.shape}.")
    if math.prod(shape[:2]) > limit:
        raise invalid(f"input {name} has {math.prod(shape[:2])} candidates; at most {limit} are allowed.")
    # Codes or embeddings of a candidate are bounded by the signature, unless it leaves them open.
    if math.prod(shape) > limit * max(math.prod(dim or 1 for dim in spec.shape.as_list()[2:]), 1):
        raise invalid(f"input {name} has {math.prod(shape)} elements, which is too many.")


def to_protos(outputs: Mapping[str, tf.Tensor], into: Mapping[str, tensor_pb2.TensorProto]) -> None:
    """Fills a proto map with tensors."""
    for name, tensor in outputs.items():
        into[name].MergeFromString(tf.io.serialize_tensor(tensor).numpy())
