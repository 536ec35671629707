"""Hashing, shuffling and keeping the first, against plain Python."""

from __future__ import annotations

from random import Random

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.arrow_coder import ArrowTableCoder
from pipelines.duplicates import keep_first, partition
from pipelines.hashing import hash_texts
from pipelines.schema import TIME, encoded_schema, labels

ITEM_IDS = st.lists(st.text(min_size=1, max_size=5), max_size=20)


def fnv1a(text: str) -> int:
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def encoded(item_ids: list[str], source: str = "a.parquet") -> pa.Table:
    count = len(item_ids)
    codes = pa.array([[row, row] for row in range(count)], pa.list_(pa.uint16(), 2))
    times, numbers = pa.nulls(count, TIME), pa.array(range(count), pa.int64())
    made = [pa.array(item_ids, pa.string()), codes, labels("q", count), times, numbers]
    return pa.table([*made, labels(source, count), numbers], schema=encoded_schema(2, 16))


@given(ITEM_IDS)
@settings(deadline=None)
def test_the_hash_is_fnv1a_of_the_bytes(texts: list[str]) -> None:
    assert hash_texts(pa.array(texts, pa.string())).tolist() == [fnv1a(text) for text in texts]
    assert hash_texts(pa.array(["x", *texts], pa.string())[1:]).tolist() == [fnv1a(text) for text in texts]


@given(ITEM_IDS, st.integers(1, 4))
@settings(deadline=None)
def test_partitions_hold_every_row_once_where_its_hash_says(item_ids: list[str], num_shards: int) -> None:
    shards = dict(partition(encoded(item_ids), num_shards))
    found = {row: shard for shard, table in shards.items() for row in table["row"].to_pylist()}
    assert found == {row: (fnv1a(text) >> 32) % num_shards for row, text in enumerate(item_ids)}
    assert all(table["row"].to_pylist() == sorted(table["row"].to_pylist()) for table in shards.values())


@given(st.lists(st.sampled_from("abcd")), st.lists(st.sampled_from("cdef")), st.booleans())
@settings(deadline=None)
def test_the_first_by_file_and_row_stays_whatever_the_order(
    first: list[str], second: list[str], swap: bool
) -> None:
    tables = [encoded(first, "a.parquet"), encoded(second, "b.parquet")]
    kept, duplicates = keep_first(pa.concat_tables(reversed(tables) if swap else tables))
    rows = [(item, "a.parquet", i) for i, item in enumerate(first)]
    rows += [(item, "b.parquet", i) for i, item in enumerate(second)]
    expected: dict[str, tuple[str, str, int]] = {}
    for row in rows:
        expected.setdefault(row[0], row)
    assert origins(kept) == [expected[item] for item in sorted(expected)]
    assert sorted(origins(duplicates)) == sorted(set(rows) - set(expected.values()))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-3, 3)), min_size=1), st.randoms())
@settings(deadline=None)
def test_of_rows_without_numbers_the_content_decides(rows: list[tuple[str, int]], random: Random) -> None:
    def kept(rows: list[tuple[str, int]]) -> dict[str, int]:
        table = encoded([item for item, _ in rows])
        content = pa.array([content for _, content in rows], pa.int64())
        table = table.set_column(table.schema.get_field_index("content"), "content", content)
        zeros = pa.array([0] * len(rows), pa.int64())
        table = table.set_column(table.schema.get_field_index("row"), "row", zeros)
        first = keep_first(table).kept
        return dict(zip(first["item_id"].to_pylist(), first["content"].to_pylist(), strict=True))

    expected: dict[str, int] = {}
    for item, content in rows:
        expected[item] = min(content, expected.get(item, content))
    assert kept(rows) == expected
    assert kept(random.sample(rows, len(rows))) == expected


def origins(table: pa.Table) -> list[tuple[str, str, int]]:
    columns = (table[name].to_pylist() for name in ("item_id", "source", "row"))
    return list(zip(*columns, strict=True))


def test_a_coded_slice_carries_only_its_own_rows() -> None:
    coder, table = ArrowTableCoder(), encoded([f"item-{i}" for i in range(20_000)])
    piece = table.slice(5_000, 3)
    assert coder.decode(coder.encode(piece)).equals(piece)
    assert len(coder.encode(piece)) < 3_000 < len(coder.encode(table)) // 50
