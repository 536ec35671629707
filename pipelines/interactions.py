"""Who met which item when, as Arrow tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import semid_tf as sid
from pipelines.counting import count_items
from pipelines.launch import match_files, one_line
from pipelines.schema import ITEM_ID, ROW, SOURCE, labels
from pipelines.schema import LABEL as LABEL_TYPE
from pipelines.sources import ReadRowGroups, RowGroup, open_parquet

USER_ID, TIMESTAMP, LABEL, POSITION = "user_id", "timestamp", "label", "position"
_NEEDED = [USER_ID, ITEM_ID, TIMESTAMP]
_OPTIONAL = [LABEL, POSITION]
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


def check_interactions(pattern: str) -> int:
    """Looks at the columns of all files.

    Returns:
        Rows in all of them together.

    Raises:
        DataError: no file matches, one is damaged or lacks a column.
    """
    rows = 0
    for file in match_files(pattern):
        try:
            with open_parquet(file.path) as parquet:
                names, rows = parquet.schema_arrow.names, rows + parquet.metadata.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise sid.DataError(
                f"{file.path}: is no whole Parquet file ({one_line(error)}); write it anew."
            ) from error
        for name in _NEEDED:
            if name not in names:
                raise sid.DataError(f"{file.path}: has no column {name}; its columns are {', '.join(names)}.")
    return rows


class ReadInteractions(ReadRowGroups):
    """Reads Parquet files (`semid_tf.read_interactions` says their columns) -> tables of `INTERACTIONS`.

    Rows with a null or an empty id are left out; the counter `rejected` counts them.

    Args:
        pattern: of the files, on any Beam file system.
    """

    def __init__(self, pattern: str) -> None:
        super().__init__(pattern, _read)


def _read(group: RowGroup) -> Iterator[pa.Table]:
    first_row = group.first_row
    with open_parquet(group.path) as parquet:
        columns = [name for name in _NEEDED + _OPTIONAL if name in parquet.schema_arrow.names]
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
