"""Tensors on the wire <-> NumPy arrays. Strings are object arrays of bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.remote import wire_pb2

# Numbers of tensorflow.DataType, and the field that a server may fill instead of tensor_content.
_TYPES: dict[int, tuple[Any, str]] = {
    1: (np.float32, "float_val"),
    2: (np.float64, "double_val"),
    3: (np.int32, "int_val"),
    4: (np.uint8, "int_val"),
    5: (np.int16, "int_val"),
    6: (np.int8, "int_val"),
    9: (np.int64, "int64_val"),
    10: (np.bool_, "bool_val"),
    17: (np.uint16, "int_val"),
    22: (np.uint32, "uint32_val"),
    23: (np.uint64, "uint64_val"),
}
_NUMBERS = {np.dtype(dtype): number for number, (dtype, _) in _TYPES.items()}
_STRING = 7
# Types by number, and as tensorflow.DataType spells them.
NUMBERED = {number: np.dtype(dtype) for number, (dtype, _) in _TYPES.items()} | {_STRING: np.dtype(object)}
NAMES = {f"DT_{np.dtype(dtype).name.upper()}": np.dtype(dtype) for dtype, _ in _TYPES.values()}
NAMES |= {"DT_FLOAT": np.dtype(np.float32), "DT_DOUBLE": np.dtype(np.float64), "DT_STRING": np.dtype(object)}


# Kinds of NumPy types, and those whose values they take.
_TAKEN = {"f": "fiu", "i": "iu", "u": "iu"}


def to_array(values: Any) -> np.ndarray:
    """Values as they can be sent: text becomes bytes, numbers keep their type.

    >>> to_array([["a", ""]]).tolist()
    [[b'a', b'']]
    >>> to_array([1.5]).dtype.name
    'float64'

    Raises:
        TypeError: of no type that can be sent.
        ValueError: lists of numbers differ in length.
    """
    array = values if isinstance(values, np.ndarray) else _listed(values)
    if array.dtype.kind in "USO":
        return _bytes(array)
    if array.dtype not in _NUMBERS:
        raise TypeError(f"an array of {array.dtype.name} cannot be sent; send numbers, booleans or text.")
    return array


def _listed(values: Any) -> np.ndarray:
    """Text stays Python's own: NumPy's types for it cut NULs off its end."""
    objects = np.array(values, object)
    if objects.size and isinstance(objects.flat[0], (str, bytes)):
        return objects
    array = np.asarray(values)
    return objects if array.dtype.kind in "US" else array


def cast(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The same values in another type, which holds every one of them; none are of any type.

    >>> cast(to_array([[1, 2]]), np.dtype(np.int32)).dtype.name
    'int32'

    Raises:
        ValueError: the type cannot hold them.
    """
    if array.dtype == dtype:
        return array
    if not array.size:
        return np.empty(array.shape, dtype)
    if array.dtype.kind not in _TAKEN.get(dtype.kind, ""):
        raise ValueError(f"must be {_name(dtype)}, not {_name(array.dtype)}")
    with np.errstate(over="ignore"):
        there = array.astype(dtype)
    held = np.isfinite(there) == np.isfinite(array) if dtype.kind == "f" else there == array
    if not held.all():
        raise ValueError(f"must be {_name(dtype)}, which cannot hold {array[~held][0]}")
    return there


def _name(dtype: np.dtype) -> str:
    return "text" if dtype.kind == "O" else dtype.name


def _bytes(array: np.ndarray) -> np.ndarray:
    sent = np.empty(array.shape, object)
    flat = [one.encode() if isinstance(one, str) else one for one in array.ravel().tolist()]
    if wrong := [one for one in flat if not isinstance(one, bytes)]:
        raise TypeError(f"{type(wrong[0]).__name__} among text cannot be sent; send regular lists of text.")
    sent.ravel()[:] = flat
    return sent


def to_proto(array: np.ndarray) -> wire_pb2.TensorProto:
    """An array of `to_array` as a message."""
    shape = wire_pb2.TensorShapeProto(dim=[{"size": size} for size in array.shape])
    if array.dtype == object:
        return wire_pb2.TensorProto(dtype=_STRING, tensor_shape=shape, string_val=array.ravel().tolist())
    content = np.ascontiguousarray(array).tobytes()
    return wire_pb2.TensorProto(dtype=_NUMBERS[array.dtype], tensor_shape=shape, tensor_content=content)


def from_proto(proto: wire_pb2.TensorProto) -> np.ndarray:
    """A message as an array, whichever field the server has filled.

    Raises:
        TypeError: of a type that the client does not know.
    """
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.dtype == _STRING:
        return np.array([*proto.string_val, None], object)[:-1].reshape(shape)
    if proto.dtype not in _TYPES:
        raise TypeError(f"a tensor of type number {proto.dtype} came, which the client does not know.")
    dtype, field = _TYPES[proto.dtype]
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    return _spread(np.array(getattr(proto, field), dtype), shape)


def _spread(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values where the last stands for all that follow; none = zeros."""
    missing = int(np.prod(shape)) - len(values)
    last = values[-1:] if len(values) else np.zeros(1, values.dtype)
    return np.concatenate([values, np.repeat(last, missing)]).reshape(shape)
