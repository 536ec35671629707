"""Parquet files -> one table that still knows where each row came from."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from semid_tf.errors import DataError

_READ_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class LocatedTable:
    """A table put together from several sources.

    Attributes:
        table: all rows, source after source.
        sources: name of each source, such as its path.
        starts: int64 [num_sources], row of `table` at which each source begins.
    """

    table: pa.Table
    sources: tuple[str, ...]
    starts: np.ndarray

    @property
    def name(self) -> str:
        """What to call the whole in a message."""
        return (
            self.sources[0]
            if len(self.sources) == 1
            else f"{self.sources[0]} and {len(self.sources) - 1} more"
        )

    def where(self, row: int) -> str:
        """Source and row of a row; rows count from 0.

        >>> LocatedTable(pa.table({"a": [1, 2, 3]}), ("x", "y"), np.array([0, 1])).where(2)
        'y, row 1'
        """
        source = int(np.searchsorted(self.starts, row, side="right")) - 1
        return f"{self.sources[source]}, row {row - int(self.starts[source])}"


def in_memory(
    table: pa.Table, name: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> LocatedTable:
    """A table that came from no file, checked as `read_parquet` checks files.

    Raises:
        DataError: a missing column, no rows.
    """
    require_columns(name, table.column_names, required, optional)
    if table.num_rows == 0:
        raise DataError(f"{name} has no rows; it must have at least one.")
    return LocatedTable(table, (name,), np.zeros(1, np.int64))


def read_parquet(
    pattern: str | Path, required: tuple[str, ...], optional: tuple[str, ...] | None = None
) -> LocatedTable:
    """Reads one Parquet file, all that a pattern matches, or all inside a folder, in order of their paths.

    Args:
        pattern: a path, or a glob pattern (`**` crosses folders).
        required: columns that every file must have.
        optional: columns that are read where they are; None = all columns.

    Raises:
        DataError: no file, an unreadable one, a missing column, files that do not go together, no rows.
    """
    paths = matching_files(str(pattern))
    tables = [_read_file(path, required, optional) for path in paths]
    starts = np.cumsum([0] + [table.num_rows for table in tables])
    if starts[-1] == 0:
        raise DataError(f"{pattern} has no rows; it must have at least one.")
    return LocatedTable(_join(tables, str(pattern)), tuple(paths), starts[:-1])


def require_columns(
    source: str, found: list[str], required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> None:
    """Refuses columns that lack a required name, or have a name twice that is read.

    Raises:
        DataError: names the column, the source and the columns found.
    """
    for name in required:
        if name not in found:
            raise DataError(f"{source} has no column {name}; it has {', '.join(found) or 'none'}.")
    for name in (*required, *optional):
        if found.count(name) > 1:
            raise DataError(f"{source} has {found.count(name)} columns named {name}; it must have one.")


def matching_files(pattern: str, kind: str = "Parquet", names: str = "*.parquet") -> list[str]:
    """The files that a path, a glob pattern or a folder stands for, in order.

    Args:
        pattern: the path, glob pattern or folder.
        kind: of the files, for messages.
        names: what the files in a folder are called.

    Raises:
        DataError: there is none.
    """
    if Path(pattern).is_file():
        return [pattern]
    if Path(pattern).is_dir():
        return _files_in(Path(pattern), kind, names)
    paths = sorted(path for path in glob.glob(pattern, recursive=True) if Path(path).is_file())
    if not paths:
        raise DataError(f"no file matches {pattern!r}; give a {kind} file, a pattern or a folder.")
    return paths


def _files_in(folder: Path, kind: str, names: str) -> list[str]:
    paths = sorted(str(path) for path in folder.rglob(names) if not _is_hidden(path.relative_to(folder)))
    if not paths:
        raise DataError(
            f"the folder {folder} holds no {names.strip('*')} file; "
            f"give a {kind} file, a pattern or a folder."
        )
    return paths


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _read_file(path: str, required: tuple[str, ...], optional: tuple[str, ...] | None) -> pa.Table:
    with _opened(path) as file:
        require_columns(path, file.schema_arrow.names, required, optional or ())
        return file.read(None if optional is None else _present(file, (*required, *optional)))


class RowGroup(NamedTuple):
    """A row group of a file.

    Attributes:
        path: of the file.
        number: of the row group.
        start: row of the file at which it begins.
    """

    path: str
    number: int
    start: int


def row_groups(path: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> list[RowGroup]:
    """The row groups of a Parquet file that have rows.

    Raises:
        DataError: the file cannot be read; a missing column.
    """
    with _opened(path) as file:
        require_columns(path, file.schema_arrow.names, required, optional)
        lengths = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    starts = np.cumsum([0, *lengths])
    return [RowGroup(path, i, int(starts[i])) for i, length in enumerate(lengths) if length]


def read_row_group(
    group: RowGroup, required: tuple[str, ...], optional: tuple[str, ...], block_rows: int
) -> Iterator[LocatedTable]:
    """The rows of a row group, at most `block_rows` at a time; of the file no more is held.

    Raises:
        DataError: the file cannot be read.
    """
    with _opened(group.path, _READ_BYTES) as file:
        row, columns = group.start, _present(file, (*required, *optional))
        for batch in file.iter_batches(block_rows, [group.number], columns):
            yield LocatedTable(pa.Table.from_batches([batch]), (group.path,), np.array([-row]))
            row += batch.num_rows


@contextmanager
def _opened(path: str, buffer_bytes: int = 0) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path, buffer_size=buffer_bytes) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {_first_line(error)}; write it anew.") from error


def _present(file: pq.ParquetFile, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name in file.schema_arrow.names]


def _join(tables: list[pa.Table], pattern: str) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            f"files of {pattern!r} differ in their columns ({_first_line(error)}); give all the same types."
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
