"""Embeddings straight from the pages of Parquet files, against Arrow's own reading of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.plain_pages import plain_vectors
from pipelines.sources import read_row_group, row_groups

DIM, ROWS, BATCH = 64, 900, 100
VECTORS = np.random.default_rng(5).normal(size=(ROWS, DIM)).astype(np.float32)
PLAIN: dict[str, Any] = {"use_dictionary": False, "data_page_size": 10_000, "row_group_size": 500}
#: How a row differs from the others.
ODD = [None, [], [1.0] * (DIM - 1), [1.0] * (DIM + 1), [1.0] * (DIM - 1) + [None]]


def write(path: Path, embeddings: pa.Array, **settings: Any) -> pa.Table:
    table = pa.table({"row": range(ROWS), "embedding": embeddings, "item_id": map(str, range(ROWS))})
    pq.write_table(table, path, **(PLAIN | settings))
    return table


def plain_rows(path: Path) -> list[list[list[float]]]:
    """Of each row group, the rows that are read without Arrow."""
    with pq.ParquetFile(path) as parquet, pa.memory_map(str(path)) as file:
        found = []
        for group in range(parquet.num_row_groups):
            parts = list(plain_vectors(parquet, file, group, "embedding", BATCH))
            assert all(len(part) == BATCH for part in parts[:-1])
            assert all(part.ctypes.data % 64 == 0 for part in parts)
            found.append([row for part in parts for row in part.tolist()])
        return found


def lists(rows: list[Any]) -> pa.Array:
    return pa.array(rows, pa.list_(pa.float32()))


def fixed(rows: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"compression": "none"},
        {"compression": "zstd", "write_page_index": True},
        {"compression": "lz4", "write_batch_size": 100},
        {"data_page_size": 1 << 20},
        {"data_page_size": 100, "write_batch_size": 7},
    ],
)
@pytest.mark.parametrize("make", [lambda: fixed(VECTORS), lambda: lists(VECTORS.tolist())])
def test_plain_files_are_read_whole(make: Any, settings: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path / "it.parquet", make(), **settings)
    assert plain_rows(tmp_path / "it.parquet") == [VECTORS[:500].tolist(), VECTORS[500:].tolist()]


@pytest.mark.parametrize("settings", [{"use_dictionary": True}, {"data_page_version": "2.0"}])
def test_other_pages_are_left_to_arrow(settings: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path / "it.parquet", fixed(VECTORS), **settings)
    assert plain_rows(tmp_path / "it.parquet") == [[], []]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("place", [0, 250, 499])
@pytest.mark.parametrize("write_batch_size", [DIM, DIM + 1, 1024])
def test_rows_before_an_odd_one_are_its_neighbours_own(
    odd: Any, place: int, write_batch_size: int, tmp_path: Path
) -> None:
    rows: list[Any] = VECTORS.tolist()
    rows[place] = odd
    rows[place + 1] = [0.5] * (2 * DIM - len(odd or [1.0]))  # as many numbers as if all were alike
    table = write(tmp_path / "it.parquet", lists(rows), write_batch_size=write_batch_size)
    first, _ = plain_rows(tmp_path / "it.parquet")
    assert len(first) <= place
    assert first == rows[: len(first)]
    items = pa.concat_tables(
        part.select(["item_id", "row"]).append_column("embedding", part["embedding"].cast(lists([]).type))
        for group in row_groups(str(tmp_path / "it.parquet"))
        for part in read_row_group(group)
    )
    assert items.to_pylist() == table.select(["item_id", "row", "embedding"]).to_pylist()


def test_damage_is_found_or_left_to_arrow(tmp_path: Path) -> None:
    path = tmp_path / "it.parquet"
    write(path, fixed(VECTORS), compression="none")
    content = path.read_bytes()
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(1)
    for place in range(chunk.data_page_offset, chunk.data_page_offset + 160):
        for bit in (1, 64, 128):
            damaged = bytearray(content)
            damaged[place] ^= bit
            path.write_bytes(damaged)
            first, second = plain_rows(path)
            assert first in ([], VECTORS[:500].tolist())  # statistics in a header may differ
            assert second == VECTORS[500:].tolist()
