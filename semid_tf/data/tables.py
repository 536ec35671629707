"""The two tables that everything starts from: items and interactions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from semid_tf.data import columns, schema
from semid_tf.data.parquet import LocatedTable, in_memory, read_parquet
from semid_tf.errors import DataError

_ITEM_COLUMNS = (schema.ITEM_ID, schema.EMBEDDING)
_EVENT_COLUMNS = (schema.USER_ID, schema.ITEM_ID, schema.TIMESTAMP)
_EVENT_OPTIONS = (schema.LABEL, schema.POSITION)


@dataclass(frozen=True, eq=False)
class Items:
    """The catalogue.

    Attributes:
        table: all columns that were given; `item_id` as string, `embedding` as fixed-size list of float32.
        item_ids: object [n] of str, each once.
        embeddings: float32 [n, dim], all finite; shares its memory with the table, so do not write to it.
    """

    table: pa.Table
    item_ids: np.ndarray
    embeddings: np.ndarray

    def __len__(self) -> int:
        return len(self.item_ids)

    def titles(self, column: str) -> np.ndarray:
        """What people call each item, object [n]: a column's text, the item id where there is none."""
        if column not in self.table.column_names:
            return self.item_ids
        named = self.table[column].to_numpy(zero_copy_only=False)
        return np.where(pc.is_valid(self.table[column]).to_numpy(zero_copy_only=False), named, self.item_ids)


@dataclass(frozen=True, eq=False)
class Interactions:
    """Who met which item when, in any order.

    Attributes:
        user_ids: object [n] of str.
        item_ids: object [n] of str.
        timestamps: int64 [n]; only their order counts.
        labels: float32 [n], 1 = positive, 0 = negative; None = all are positive.
        positions: int64 [n], order of one user's events at equal timestamps; None = they have none.
    """

    user_ids: np.ndarray
    item_ids: np.ndarray
    timestamps: np.ndarray
    labels: np.ndarray | None = None
    positions: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("item_ids", "timestamps", "labels", "positions"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self):
                raise DataError(
                    f"{name} has {len(values)} rows but user_ids {len(self)}; they must be equally many."
                )

    def __len__(self) -> int:
        return len(self.user_ids)

    def take(self, rows: np.ndarray) -> Interactions:
        """The interactions at the given rows (integers, or one boolean for each row)."""
        return Interactions(
            self.user_ids[rows],
            self.item_ids[rows],
            self.timestamps[rows],
            None if self.labels is None else self.labels[rows],
            None if self.positions is None else self.positions[rows],
        )


class IndexedUsers(NamedTuple):
    """The users of an interaction table.

    Attributes:
        user_ids: object [num_users] of str, in order of first appearance.
        indices: int32 [n], for each interaction the place of its user in `user_ids`.
    """

    user_ids: np.ndarray
    indices: np.ndarray


def read_items(pattern: str | Path) -> Items:
    """Reads the item table from a Parquet file, a glob pattern or a folder; all columns are kept.

    `item_id` holds strings or integers, `embedding` lists of float16, float32 or float64 of one length.

    Raises:
        DataError: no file, an unreadable one, no rows, a missing column, a null, empty or repeated item_id,
            an embedding that is null, of another length or not finite. Rows count from 0 within their file.
    """
    return _items(read_parquet(pattern, _ITEM_COLUMNS))


def items_from_table(table: pa.Table, name: str = "items") -> Items:
    """Checks an item table in memory as `read_items` does.

    >>> table = pa.table({"item_id": [7, 8], "embedding": [[1.0, 0.0], [0.0, 1.0]]})
    >>> items = items_from_table(table)
    >>> items.item_ids, items.embeddings.shape
    (array(['7', '8'], dtype=object), (2, 2))

    Raises:
        DataError: as `read_items`; `name` stands for the file.
    """
    return _items(in_memory(table, name, _ITEM_COLUMNS))


def _items(source: LocatedTable) -> Items:
    item_ids = columns.unique_ids(source, schema.ITEM_ID)
    embeddings = columns.embeddings(source, item_ids)
    table = _with(source.table, schema.ITEM_ID, pa.array(item_ids, schema.ID_TYPE))
    return Items(_with(table, schema.EMBEDDING, _lists(embeddings)), item_ids, embeddings)


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _lists(matrix: np.ndarray) -> pa.Array:
    dim = matrix.shape[1]
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), type=schema.embedding_type(dim))


def read_interactions(pattern: str | Path) -> Interactions:
    """Reads the interaction table from a Parquet file, a glob pattern or a folder.

    `user_id` and `item_id` hold strings or integers; `timestamp` timestamps, dates, integers (taken as they
    are) or floats (seconds); optional `label` 0 or 1; optional `position` integers.

    Raises:
        DataError: no file, an unreadable one, no rows, a missing column, a null anywhere in these columns, an
            empty id, a label other than 0 and 1. Rows count from 0 within their file.
    """
    return _interactions(read_parquet(pattern, _EVENT_COLUMNS, _EVENT_OPTIONS))


def interactions_from_table(table: pa.Table, name: str = "interactions") -> Interactions:
    """Checks an interaction table in memory as `read_interactions` does.

    Raises:
        DataError: as `read_interactions`; `name` stands for the file.
    """
    return _interactions(in_memory(table, name, _EVENT_COLUMNS, _EVENT_OPTIONS))


def _interactions(source: LocatedTable) -> Interactions:
    return Interactions(
        columns.ids(source, schema.USER_ID),
        columns.ids(source, schema.ITEM_ID),
        columns.timestamps(source),
        columns.labels(source),
        columns.positions(source),
    )


def write_tables(folder: str | Path, items: Items, interactions: Interactions) -> None:
    """Writes `items.parquet` (row groups of 4,096) and `interactions.parquet` into an existing folder.

    Equal tables give equal bytes with one version of pyarrow.
    """
    names = [name for name in items.table.column_names if name != schema.EMBEDDING]
    path = Path(folder) / schema.ITEMS_FILE
    pq.write_table(items.table, path, row_group_size=schema.ITEM_ROW_GROUP, use_dictionary=names)
    pq.write_table(_interaction_table(interactions), Path(folder) / schema.INTERACTIONS_FILE)


def _interaction_table(interactions: Interactions) -> pa.Table:
    table = {
        schema.USER_ID: pa.array(interactions.user_ids, schema.ID_TYPE),
        schema.ITEM_ID: pa.array(interactions.item_ids, schema.ID_TYPE),
        schema.TIMESTAMP: pa.array(interactions.timestamps, schema.TIMESTAMP_TYPE),
    }
    if interactions.labels is not None:
        table[schema.LABEL] = pa.array(interactions.labels, schema.LABEL_TYPE)
    if interactions.positions is not None:
        table[schema.POSITION] = pa.array(interactions.positions, schema.POSITION_TYPE)
    return pa.table(table)


def read_tables(folder: str | Path) -> tuple[Items, Interactions]:
    """Reads what `write_tables` wrote.

    Raises:
        DataError: as `read_items` and `read_interactions`.
    """
    return read_items(Path(folder) / schema.ITEMS_FILE), read_interactions(
        Path(folder) / schema.INTERACTIONS_FILE
    )


def item_indices(item_ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Row in the item table + 1 of each wanted item; 0 = unknown.

    Args:
        item_ids: object [num_items] of str, each once.
        wanted: object [n] of str.

    Returns:
        int32 [n], each in [0, num_items].

    >>> item_indices(np.array(["a", "b"], object), np.array(["b", "x", "a"], object))
    array([2, 0, 1], dtype=int32)
    """
    known = pa.array(item_ids, pa.large_string())
    rows = pc.index_in(pa.array(wanted, pa.large_string()), known)
    return rows.fill_null(-1).to_numpy().astype(np.int32) + np.int32(1)


def known_items(item_ids: np.ndarray, interactions: Interactions) -> np.ndarray:
    """The item_index of each interaction, int32 [n], each in [1, num_items]; see `item_indices`.

    Raises:
        DataError: an unknown item.
    """
    items = item_indices(item_ids, interactions.item_ids)
    if not items.all():
        row = int(np.argmin(items != 0))
        raise DataError(
            f"interaction {row} names item {interactions.item_ids[row]!r}, which is not in the item table; "
            "drop such interactions with drop_unknown."
        )
    return items


def index_users(interactions: Interactions) -> IndexedUsers:
    """Numbers the users in order of first appearance."""
    encoded = pa.array(interactions.user_ids, pa.large_string()).dictionary_encode()
    return IndexedUsers(encoded.dictionary.to_numpy(zero_copy_only=False), encoded.indices.to_numpy())


def drop_unknown(interactions: Interactions, item_ids: np.ndarray) -> tuple[Interactions, int]:
    """Drops the interactions whose item is not in the item table.

    Returns:
        The others, in their order, and how many were dropped.

    Raises:
        DataError: none would be left.
    """
    known = item_indices(item_ids, interactions.item_ids) > 0
    if not known.any():
        example = f", such as {interactions.item_ids[0]!r}" if len(interactions) else ""
        raise DataError(
            f"none of the {len(interactions)} interactions names an item of the item table{example}; "
            "both tables must use the same item_ids."
        )
    dropped = len(known) - int(np.count_nonzero(known))
    return (interactions if dropped == 0 else interactions.take(known)), dropped
