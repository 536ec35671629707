"""Embeddings straight from the pages of a Parquet file, without Arrow's way through lists.

Where all lists of a column have one length, no nulls, and are stored as they are in memory, a page is a
header, two levels for each number (always the same pattern), and the numbers. Here the pattern is compared
with what it has to be, and the numbers are copied; Arrow makes lists of the levels, at a much higher cost.

Source: https://parquet.apache.org/docs/file-format/ (data pages of version 1, encodings PLAIN and RLE), and
Thrift's compact protocol for the headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.reused import ReusedMemory

_DATA_PAGE, _PLAIN, _RLE = 0, 0, 3
# Field numbers of a page header, and of the header of a data page in it.
_TYPE, _SIZE, _STORED_SIZE, _DATA_HEADER = 1, 2, 3, 5
_COUNT, _ENCODING, _DEFINITIONS, _REPETITIONS = 1, 2, 3, 4
_MEMORY = ReusedMemory(8)


class _Column(NamedTuple):
    """A column chunk of float32 lists that may be plain; `defined` is the definition level of a number."""

    rows: int
    dim: int
    defined: int
    codec: pa.Codec | None
    start: int
    size: int


def plain_vectors(
    parquet: pq.ParquetFile, file: pa.NativeFile, group: int, name: str, batch_rows: int
) -> Iterator[np.ndarray]:
    """The first rows of a column of float32 lists in a row group, as far as they are plain: perhaps none.

    What is not, such as dictionaries, nulls, other lengths or damage, ends the rows; Arrow has
    to read the rest.

    Args:
        parquet: the file, opened.
        file: its bytes.
        group: number of the row group.
        name: of the column.
        batch_rows: rows at a time.

    Returns:
        float32 [n, dim] each, in memory aligned for TensorFlow; all but the last have `batch_rows` rows.
    """
    column = _column(parquet, group, name)
    if not column:
        return
    size = min(batch_rows, column.rows)
    left, batch, filled = column.rows, _empty(size, size, column.dim), 0
    for values in _checked_pages(file, column):
        while len(values):
            taken = values[: batch.size - filled]
            batch.reshape(-1)[filled : filled + len(taken)] = taken
            filled, values = filled + len(taken), values[len(taken) :]
            if filled == batch.size:
                yield batch
                left -= len(batch)
                batch, filled = _empty(min(size, left), size, column.dim), 0
    if filled >= column.dim:
        yield batch[: filled // column.dim]


def _empty(rows: int, most: int, dim: int) -> np.ndarray:
    """Float32 [rows, dim], in memory for so many rows at most."""
    return _MEMORY.floats(most * dim)[: rows * dim].reshape(rows, dim)


def _column(parquet: pq.ParquetFile, group: int, name: str) -> _Column | None:
    leaves = [parquet.schema.column(i) for i in range(len(parquet.schema))]
    places = [place for place, leaf in enumerate(leaves) if leaf.path.startswith(f"{name}.")]
    if len(places) != 1:
        return None
    leaf, rows = leaves[places[0]], parquet.metadata.row_group(group).num_rows
    chunk = parquet.metadata.row_group(group).column(places[0])
    dim, rest = divmod(chunk.num_values, rows) if rows else (0, 0)
    if leaf.physical_type != "FLOAT" or leaf.max_repetition_level != 1 or chunk.has_dictionary_page:
        return None
    # Rows that end within a byte of levels have too many patterns to compare.
    if chunk.file_path or not dim or rest or dim % 8:
        return None
    codec, start = _codec(chunk.compression), chunk.data_page_offset
    return _Column(rows, dim, leaf.max_definition_level, codec, start, chunk.total_compressed_size)


def _codec(name: str) -> pa.Codec | None:
    # Parquet's LZ4 is Arrow's lz4_raw, except in old files, which it does not decompress.
    return None if name == "UNCOMPRESSED" else pa.Codec(name.lower().replace("lz4", "lz4_raw"))


def _checked_pages(file: pa.NativeFile, column: _Column) -> Iterator[np.ndarray]:
    """The numbers of the plain pages. Each waits until the next is found plain too: only then the row that it
    ends with is known to end there."""
    file.seek(column.start)
    chunk, at, count = memoryview(file.read_buffer(column.size)), 0, 0
    waiting = np.zeros(0, np.float32)
    while count < column.rows * column.dim:
        try:
            header, body = _struct(chunk, at)
            at = body + header[_STORED_SIZE]
            values = _values(header, chunk[body:at], column, count)
        except (IndexError, KeyError, TypeError, ValueError, OSError, pa.ArrowException):
            return
        if values is None or not len(values):
            return
        yield waiting
        waiting, count = values, count + len(values)
    if count == column.rows * column.dim:
        yield waiting


def _values(header: dict[int, Any], body: memoryview, column: _Column, before: int) -> np.ndarray | None:
    """The numbers of a page that comes after so many others; None: it is not plain."""
    if header[_TYPE] != _DATA_PAGE:
        return None
    about = header[_DATA_HEADER]
    if (about[_ENCODING], about[_DEFINITIONS], about[_REPETITIONS]) != (_PLAIN, _RLE, _RLE):
        return None
    if column.codec:
        body = memoryview(column.codec.decompress(body, header[_SIZE]))
    repetitions, body = _framed(body)
    definitions, body = _framed(body)
    first, count = -before % column.dim, about[_COUNT]
    if not _is_regular(repetitions, definitions, first, column.dim, column.defined, count):
        return None
    return np.frombuffer(body, "<f4", count)


def _framed(body: memoryview) -> tuple[bytes, memoryview]:
    """What stands behind its length, and the rest."""
    end = 4 + int.from_bytes(body[:4], "little")
    return bytes(body[4:end]), body[end:]


@lru_cache(maxsize=256)
def _is_regular(
    repetitions: bytes, definitions: bytes, first: int, dim: int, defined: int, count: int
) -> bool:
    """Whether lists begin at `first` and then after each `dim` numbers, and no number is null. Few patterns
    come again and again."""
    begins = np.flatnonzero(_levels(repetitions, 1, count) == 0)
    whole = (_levels(definitions, defined.bit_length(), count) == defined).all()
    return bool(whole) and np.array_equal(begins, np.arange(first, count, dim))


def _levels(data: bytes, width: int, count: int) -> np.ndarray:
    """Numbers of so many bits, by runs of equal ones and of packed ones."""
    runs, held, at = [], 0, 0
    while held < count:
        head, at = _varint(data, at)
        if head & 1:
            end = at + (head >> 1) * width
            bits = np.unpackbits(np.frombuffer(data[at:end], np.uint8), bitorder="little")
            run = bits.reshape(-1, width) @ (1 << np.arange(width))
        else:
            end = at + (width + 7) // 8
            run = np.full(min(head >> 1, count - held), int.from_bytes(data[at:end], "little"))
        if end > len(data):
            raise IndexError
        runs.append(run)
        held, at = held + len(run), end
    return np.concatenate(runs)[:count]


def _varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and where it ends."""
    value = shift = 0
    while (byte := data[at]) & 128:
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
    return value | byte << shift, at + 1


def _zigzag(data: memoryview, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return value >> 1 ^ -(value & 1), at


def _struct(data: memoryview, at: int) -> tuple[dict[int, Any], int]:
    """Field number -> value, and where the struct ends."""
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _zigzag(data, at)
        fields[number], at = _field(head & 15, data, at)
    return fields, at + 1


def _field(kind: int, data: memoryview, at: int) -> tuple[Any, int]:
    if kind in (1, 2):
        return kind == 1, at
    if kind == 3:
        return data[at], at + 1
    if kind in (4, 5, 6):
        return _zigzag(data, at)
    if kind == 8:
        length, at = _varint(data, at)
        return data[at : at + length], at + length
    if kind == 12:
        return _struct(data, at)
    raise ValueError(f"no field of kind {kind} belongs into the header of a page")
