"""One checked column of a table -> one NumPy array."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semid_tf.data import schema
from semid_tf.data.parquet import LocatedTable
from semid_tf.errors import DataError

MICROSECONDS = 1_000_000
_INT64_LIMIT = 2.0**63


def ids(source: LocatedTable, name: str) -> np.ndarray:
    """A column of strings or integers as strings.

    Returns:
        object [n] of str, none of them empty. Equal ids are one object.

    Raises:
        DataError: another type; a null or an empty string.
    """
    column = _decoded(source.table.column(name))
    if not (_is_text(column.type) or pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        raise _wrong_type(source, name, column.type, "a string or an integer")
    _refuse_null(source, name, column)
    text = column.cast(pa.large_string())
    _refuse_first(source, pc.equal(text, ""), f"{name} is empty; give each row a name")
    return _objects(text)


def unique_ids(source: LocatedTable, name: str) -> np.ndarray:
    """As `ids`, and no id occurs twice.

    Raises:
        DataError: names the id and both its rows.
    """
    names = ids(source, name)
    numbers = pa.array(names, pa.large_string()).dictionary_encode().indices.to_numpy()
    _, first = np.unique(numbers, return_index=True)
    if len(first) < len(names):
        again = np.ones(len(names), bool)
        again[first] = False
        row = int(np.argmax(again))
        raise DataError(
            f"{source.where(row)}: {name} {names[row]!r} occurs already in "
            f"{source.where(int(first[numbers[row]]))}; each must occur once."
        )
    return names


def embeddings(source: LocatedTable, item_ids: np.ndarray) -> np.ndarray:
    """The embedding column as a matrix, without a copy where it is one chunk of float32.

    Returns:
        float32 [n, dim], all finite; perhaps read-only.

    Raises:
        DataError: no list of float16, float32 or float64; a null; lengths that differ; a number that is
            not finite in float32.
    """
    column = source.table.column(schema.EMBEDDING)
    if not (_is_list(column.type) and pa.types.is_floating(column.type.value_type)):
        raise _wrong_type(source, schema.EMBEDDING, column.type, "a list of float16, float32 or float64")
    _refuse_null(source, schema.EMBEDDING, column)
    matrix = _matrix(column, _common_length(source, column, item_ids))
    _refuse_non_finite(source, matrix, item_ids)
    return matrix


def timestamps(source: LocatedTable) -> np.ndarray:
    """The timestamp column as integers whose order is that of time.

    Timestamps and dates become microseconds since 1970, floats are read as seconds and become microseconds,
    integers stay as they are.

    Returns:
        int64 [n].

    Raises:
        DataError: another type; a null; a value beyond int64.
    """
    column = source.table.column(schema.TIMESTAMP)
    _refuse_null(source, schema.TIMESTAMP, column)
    if pa.types.is_floating(column.type):
        return _from_seconds(source, column.to_numpy().astype(np.float64))
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _as_int64(
            source, schema.TIMESTAMP, column, pa.timestamp("us", getattr(column.type, "tz", None))
        )
    if pa.types.is_integer(column.type):
        return _as_int64(source, schema.TIMESTAMP, column, pa.int64())
    raise _wrong_type(source, schema.TIMESTAMP, column.type, "a timestamp, a date, an integer or a float")


def labels(source: LocatedTable) -> np.ndarray | None:
    """The label column, if there is one.

    Returns:
        float32 [n], each 0 or 1; or None.

    Raises:
        DataError: another type or value; a null.
    """
    if schema.LABEL not in source.table.column_names:
        return None
    column = source.table.column(schema.LABEL)
    _refuse_null(source, schema.LABEL, column)
    if not (
        pa.types.is_boolean(column.type)
        or pa.types.is_integer(column.type)
        or pa.types.is_floating(column.type)
    ):
        raise _wrong_type(source, schema.LABEL, column.type, "a boolean or a number")
    values = column.to_numpy().astype(np.float32)
    wrong = np.flatnonzero((values != 0) & (values != 1))
    if len(wrong):
        raise DataError(f"{source.where(int(wrong[0]))}: label is {values[wrong[0]]:g}; it must be 0 or 1.")
    return values


def weights(source: LocatedTable) -> np.ndarray | None:
    """The weight column, if there is one.

    Returns:
        float32 [n], finite and not negative; or None.

    Raises:
        DataError: another type or value; a null.
    """
    if schema.WEIGHT not in source.table.column_names:
        return None
    column = source.table.column(schema.WEIGHT)
    _refuse_null(source, schema.WEIGHT, column)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise _wrong_type(source, schema.WEIGHT, column.type, "a number")
    with np.errstate(over="ignore"):
        values = column.to_numpy().astype(np.float32)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"{source.where(row)}: weight is {values[row]:g}; it must be finite and not negative."
        )
    return values


def positions(source: LocatedTable) -> np.ndarray | None:
    """The position column, if there is one.

    Returns:
        int64 [n], or None.

    Raises:
        DataError: no integers; a null.
    """
    if schema.POSITION not in source.table.column_names:
        return None
    column = source.table.column(schema.POSITION)
    _refuse_null(source, schema.POSITION, column)
    if not pa.types.is_integer(column.type):
        raise _wrong_type(source, schema.POSITION, column.type, "an integer")
    return _as_int64(source, schema.POSITION, column, schema.POSITION_TYPE)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _objects(text: pa.ChunkedArray) -> np.ndarray:
    """Strings as Python objects, one object for each distinct string."""
    encoded = text.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    return encoded.dictionary.to_numpy(zero_copy_only=False)[encoded.indices.to_numpy()]


def _wrong_type(source: LocatedTable, name: str, kind: pa.DataType, right: str) -> DataError:
    return DataError(f"{source.name}: column {name} is of type {kind}; it must be {right}.")


def _refuse_null(source: LocatedTable, name: str, column: pa.ChunkedArray) -> None:
    _refuse_first(source, pc.is_null(column), f"{name} is null; give each row one")


def _refuse_first(source: LocatedTable, wrong: pa.ChunkedArray, message: str) -> None:
    row = pc.index(wrong, True).as_py()
    if row >= 0:
        raise DataError(f"{source.where(row)}: {message}.")


def _common_length(source: LocatedTable, column: pa.ChunkedArray, item_ids: np.ndarray) -> int:
    lengths = pc.list_value_length(column).to_numpy()
    common = int(np.bincount(lengths).argmax())
    wrong = np.flatnonzero(lengths != common)
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"{source.where(row)}: embedding of item {item_ids[row]!r} has length {lengths[row]}; "
            f"most have {common}, and all must have one length."
        )
    if common == 0:
        raise DataError(f"{source.where(0)}: embedding has length 0; it must have at least one number.")
    return common


def _matrix(column: pa.ChunkedArray, dim: int) -> np.ndarray:
    if column.num_chunks == 1 and pa.types.is_float32(column.type.value_type):
        return _numbers(column.chunk(0)).reshape(-1, dim)
    matrix, row = np.empty((len(column), dim), np.float32), 0
    with np.errstate(over="ignore"):
        for chunk in column.chunks:
            matrix[row : row + len(chunk)] = _numbers(chunk).reshape(-1, dim)
            row += len(chunk)
    return matrix


def _numbers(chunk: pa.Array) -> np.ndarray:
    """All numbers of a list array, one list after the other; nulls become NaN."""
    return chunk.flatten().to_numpy(zero_copy_only=False)


def _refuse_non_finite(source: LocatedTable, matrix: np.ndarray, item_ids: np.ndarray) -> None:
    finite = np.isfinite(matrix)
    if finite.all():
        return
    row, position = (int(i) for i in np.unravel_index(np.argmin(finite), matrix.shape))
    further = matrix.size - int(np.count_nonzero(finite)) - 1
    raise DataError(
        f"{source.where(row)}: embedding of item {item_ids[row]!r} is {matrix[row, position]} in float32 at "
        f"position {position}, and {further} further numbers are not finite; all must be."
    )


def _from_seconds(source: LocatedTable, seconds: np.ndarray) -> np.ndarray:
    values = np.rint(seconds * MICROSECONDS)
    wrong = np.flatnonzero(~(np.abs(values) < _INT64_LIMIT))
    if len(wrong):
        raise DataError(
            f"{source.where(int(wrong[0]))}: timestamp is {seconds[wrong[0]]:g}; a float is read as seconds "
            "since 1970; give other units as integers."
        )
    return values.astype(np.int64)


def _as_int64(source: LocatedTable, name: str, column: pa.ChunkedArray, target: pa.DataType) -> np.ndarray:
    try:
        options = pc.CastOptions(target, allow_time_truncate=True)
        return column.cast(options=options).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{source.name}: column {name} does not fit int64 ({error}); give smaller values."
        ) from error
