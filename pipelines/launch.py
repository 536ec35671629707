"""What is checked before a job starts: mistakes that concern the whole input, each as one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from apache_beam.io.filesystem import BeamIOError, FileMetadata
from apache_beam.io.filesystems import FileSystems

import semid_tf as sid
from pipelines.formats import Format, format_of, read_whole
from pipelines.nearby import load_near
from pipelines.schema import EMBEDDING, ITEM_ID
from pipelines.sources import BATCH_ROWS, open_parquet

_THREADS = 8
_FLOATS = (pa.float16(), pa.float32(), pa.float64())


def absolute(path: str) -> str:
    """A path that means the same on every worker; those of other file systems stay as they are."""
    return path if FileSystems.get_scheme(path) else os.path.abspath(path)


def open_quantizer(folder: str) -> sid.SavedQuantizer:
    """Loads a quantizer, to see before the job whether it is whole.

    Raises:
        ArtifactError: it is no complete quantizer.
    """
    try:
        return load_near(folder, sid.load_quantizer)
    except sid.SemidError:
        raise
    except Exception as error:  # TensorFlow has no common kind of error for damaged files.
        raise sid.ArtifactError(f"{folder} cannot be loaded ({one_line(error)}); make it anew.") from error


def match_files(pattern: str) -> list[FileMetadata]:
    """The files of a pattern, by path.

    Raises:
        DataError: no file matches, or the file system cannot be asked.
    """
    try:
        (result,) = FileSystems.match([pattern])
    except (BeamIOError, OSError, ValueError) as error:
        raise sid.DataError(
            f"{pattern}: cannot be read ({one_line(error)}); give a path that Beam reaches from here."
        ) from error
    if not result.metadata_list:
        raise sid.DataError(f"{pattern}: no file matches; give the path or pattern of item files.")
    return sorted(result.metadata_list, key=lambda file: file.path)


def check_items(pattern: str, quantizer: sid.SavedQuantizer) -> int:
    """Looks at the schemas of all files and at the first embeddings of one.

    Returns:
        Rows in all files together.

    Raises:
        DataError: no file matches; a file is damaged, lacks a column or has it in another type; there
            is no row at all; the embeddings have another dimension than the quantizer takes.
    """
    paths = [file.path for file in match_files(pattern)]
    with ThreadPoolExecutor(_THREADS) as threads:
        rows = dict(zip(paths, threads.map(check_file, paths), strict=True))
    if not sum(rows.values()):
        raise sid.DataError(f"{pattern}: holds no rows ({len(paths)} files); at least one item is needed.")
    _check_dimension(next(path for path in paths if rows[path]), quantizer)
    return sum(rows.values())


def check_file(path: str) -> int:
    """Rows of a file with the two columns.

    Raises:
        DataError: it is damaged, lacks a column or has it in another type.
    """
    kind = format_of(path)
    return _check_whole(path, kind) if kind else _check_parquet(path)


def _check_whole(path: str, kind: Format) -> int:
    rows = 0
    try:
        for batch in read_whole(path, kind):
            _check_columns(path, batch.schema)
            rows += batch.num_rows
    except OSError as error:
        raise sid.DataError(str(error)) from error
    return rows


def _check_parquet(path: str) -> int:
    with whole_parquet(path) as parquet:
        schema, rows = parquet.schema_arrow, parquet.metadata.num_rows
    _check_columns(path, schema)
    return int(rows)


@contextmanager
def whole_parquet(path: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file on any Beam file system, to look into.

    Raises:
        DataError: it is damaged, or may not be read.
    """
    try:
        with open_parquet(path) as parquet:
            yield parquet
    except PermissionError as error:
        raise sid.DataError(f"{path}: may not be read; give this user the right to.") from error
    except (pa.ArrowException, OSError) as error:
        raise sid.DataError(
            f"{path}: is no whole Parquet file ({one_line(error)}); write it anew."
        ) from error


def _check_columns(path: str, schema: pa.Schema) -> None:
    for name in (ITEM_ID, EMBEDDING):
        if name not in schema.names:
            found = ", ".join(schema.names)
            raise sid.DataError(f"{path}: has no column {name}; its columns are {found}.")
    item_id, embedding = schema.field(ITEM_ID).type, schema.field(EMBEDDING).type
    if not is_id(item_id):
        raise sid.DataError(f"{path}: column {ITEM_ID} is {item_id}; string or integer is needed.")
    if not _is_embedding(embedding):
        raise sid.DataError(
            f"{path}: column {EMBEDDING} is {embedding}; a list of float16, float32 or float64 is needed."
        )


def is_id(kind: pa.DataType) -> bool:
    """Whether a column can name items or users: text or integers, in a dictionary or not."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_integer)
    return any(check(kind) for check in checks)


def _is_embedding(kind: pa.DataType) -> bool:
    checks = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(check(kind) for check in checks) and kind.value_type in _FLOATS


def _check_dimension(path: str, quantizer: sid.SavedQuantizer) -> None:
    dimensions = first_dimensions(path)
    if dimensions and quantizer.embedding_dim not in dimensions:
        raise sid.DataError(
            f"{path}: embeddings have {dimensions[0]} values, but quantizer {quantizer.fingerprint} "
            f"({quantizer.artifact.path}) takes {quantizer.embedding_dim}; give such as it was trained on."
        )


def first_dimensions(path: str) -> list[int]:
    """Lengths of the first embeddings of a file, without nulls: of one read, at most `BATCH_ROWS` rows."""
    batch = _first_batch(path)
    if pa.types.is_fixed_size_list(batch.column(EMBEDDING).type):
        return [batch.column(EMBEDDING).type.list_size]
    dimensions: list[int] = pc.list_value_length(batch.column(EMBEDDING)).drop_null().unique().to_pylist()
    return dimensions


def _first_batch(path: str) -> pa.RecordBatch:
    if kind := format_of(path):
        return next(read_whole(path, kind))
    with whole_parquet(path) as parquet:
        return next(parquet.iter_batches(BATCH_ROWS, columns=[EMBEDDING]))


def one_line(error: Exception) -> str:
    """What an error says, without line breaks."""
    return " ".join(str(error).split()).rstrip(".")
