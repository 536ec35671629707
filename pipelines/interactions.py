"""Who met which item when, as Arrow tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import semid_tf as sid
from pipelines.counting import count_items
from pipelines.launch import is_id, match_files, whole_parquet
from pipelines.schema import ITEM_ID, ROW, SOURCE, labels
from pipelines.schema import LABEL as LABEL_TYPE
from pipelines.sources import ReadRowGroups, RowGroup, open_parquet

USER_ID, TIMESTAMP, LABEL, POSITION = "user_id", "timestamp", "label", "position"
_NEEDED = [USER_ID, ITEM_ID, TIMESTAMP]
_BATCH_ROWS = 65_536

#: `label` is 1 and `position` is 0 where the files have none; `source` and `row` say where it stands.
INTERACTIONS = pa.schema(
    [
        (USER_ID, pa.string()),
        (ITEM_ID, pa.string()),
        (TIMESTAMP, pa.int64()),
        (LABEL, pa.float32()),
        (POSITION, pa.int64()),
        (SOURCE, LABEL_TYPE),
        (ROW, pa.int64()),
    ]
)


def check_interactions(pattern: str, optional: Sequence[str] = (LABEL, POSITION)) -> int:
    """Looks at the columns of all files.

    Args:
        pattern: of the files, on any Beam file system.
        optional: columns that will be read where they are there.

    Returns:
        Rows in all of them together.

    Raises:
        DataError: no file matches, one is damaged, lacks a column or has it in another type.
    """
    rows = 0
    for file in match_files(pattern):
        with whole_parquet(file.path) as parquet:
            schema, rows = parquet.schema_arrow, rows + parquet.metadata.num_rows
        for name in _NEEDED:
            if name not in schema.names:
                found = ", ".join(schema.names)
                raise sid.DataError(f"{file.path}: has no column {name}; its columns are {found}.")
        _check_types(file.path, [field for field in schema if field.name in (*_NEEDED, *optional)])
    return rows


def _check_types(path: str, fields: Sequence[pa.Field]) -> None:
    """A column of nulls has no type: its rows are left out."""
    for field in fields:
        is_right, right = _TYPES[field.name]
        if not (is_right(field.type) or pa.types.is_null(field.type)):
            raise sid.DataError(f"{path}: column {field.name} is {field.type}; {right} is needed.")


def _is_time(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind) or _is_number(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _is_flag(kind: pa.DataType) -> bool:
    return pa.types.is_boolean(kind) or _is_number(kind)


#: As `semid_tf.read_interactions` takes them.
_TYPES = {
    USER_ID: (is_id, "string or integer"),
    ITEM_ID: (is_id, "string or integer"),
    TIMESTAMP: (_is_time, "timestamp, date, integer or float"),
    LABEL: (_is_flag, "boolean or a number"),
    POSITION: (pa.types.is_integer, "integer"),
}


class ReadInteractions(ReadRowGroups):
    """Reads Parquet files (`semid_tf.read_interactions` says their columns) -> tables of `INTERACTIONS`.

    Rows with a null or an empty id are left out; the counter `rejected` counts them.

    Args:
        pattern: of the files, on any Beam file system.
        optional: columns to read where they are there; the others have their defaults.
    """

    def __init__(self, pattern: str, optional: Sequence[str] = (LABEL, POSITION)) -> None:
        super().__init__(pattern, partial(_read, (*_NEEDED, *optional)))


def _read(names: Sequence[str], group: RowGroup) -> Iterator[pa.Table]:
    first_row = group.first_row
    with open_parquet(group.path) as parquet:
        columns = [name for name in names if name in parquet.schema_arrow.names]
        for batch in parquet.iter_batches(_BATCH_ROWS, [group.index], columns):
            table, kept = pa.table(batch), _whole_rows(batch)
            count_items("input", len(kept))
            count_items("rejected", len(kept) - int(kept.sum()))
            if kept.any():
                events = sid.interactions_from_table(table.filter(pa.array(kept)), group.path)
                yield _typed(events, group.path, first_row + np.flatnonzero(kept))
            first_row += len(kept)


def _whole_rows(batch: pa.RecordBatch) -> np.ndarray:
    """bool [n]: nothing is null and no id is empty."""
    kept = np.ones(batch.num_rows, bool)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        kept &= np.asarray(column.is_valid())
        if name in (USER_ID, ITEM_ID):
            kept &= np.asarray(pc.fill_null(pc.not_equal(column.cast(pa.string()), ""), False))
    return kept


def _typed(events: sid.Interactions, source: str, rows: np.ndarray) -> pa.Table:
    ones = np.ones(len(events)) if events.labels is None else events.labels
    positions = np.zeros(len(events)) if events.positions is None else events.positions
    values = [events.user_ids, events.item_ids, events.timestamps, ones, positions]
    columns = [pa.array(it, field.type) for it, field in zip(values, INTERACTIONS, strict=False)]
    return pa.table([*columns, labels(source, len(rows)), pa.array(rows)], schema=INTERACTIONS)
