"""Reading, writing and joining the two tables."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semid_tf.data import (
    Interactions,
    drop_unknown,
    index_users,
    interactions_from_table,
    item_indices,
    items_from_table,
    read_interactions,
    read_items,
    read_tables,
    write_tables,
)
from semid_tf.errors import DataError

VECTORS = [[1.0, 2.0], [0.5, -4.0], [0.0, 8.0]]


def events(**columns):
    base = {"user_id": ["u", "v"], "item_id": ["a", "b"], "timestamp": [1, 2]}
    return interactions_from_table(pa.table(base | columns))


@pytest.mark.parametrize("number", [pa.float16(), pa.float32(), pa.float64()])
@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, lambda number: pa.list_(number, 2)])
def test_every_kind_of_embedding_column_gives_the_same_matrix(written, number, kind):
    vectors = [np.array(v, np.float16) for v in VECTORS] if number == pa.float16() else VECTORS
    column = pa.array(vectors, pa.list_(number)).cast(kind(number))
    items = read_items(written(item_id=["a", "b", "c"], embedding=column))
    assert items.embeddings.dtype == np.float32
    np.testing.assert_array_equal(items.embeddings, np.array(VECTORS, np.float32))
    assert items.table.schema.field("embedding").type == pa.list_(pa.float32(), 2)
    assert items.table.column("embedding").to_pylist() == VECTORS


def test_other_columns_are_kept_and_integer_ids_become_strings(written):
    items = read_items(written(price=[1.5, None, 2.5], item_id=[7, 8, 9], embedding=VECTORS))
    assert items.table.column_names == ["price", "item_id", "embedding"]
    assert items.table.column("price").to_pylist() == [1.5, None, 2.5]
    assert items.item_ids.tolist() == items.table.column("item_id").to_pylist() == ["7", "8", "9"]
    assert len(items) == 3


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_every_kind_of_text_column_gives_the_same_ids(kind):
    items = items_from_table(pa.table({"item_id": pa.array(["ä", "b"]).cast(kind), "embedding": VECTORS[:2]}))
    assert items.item_ids.tolist() == ["ä", "b"]


def test_one_chunk_of_float32_is_not_copied():
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 2)
    items = items_from_table(pa.table({"item_id": ["a", "b", "c"], "embedding": column}))
    assert np.shares_memory(items.embeddings, vectors)


def test_a_slice_of_a_table_reads_its_own_rows():
    table = pa.table({"item_id": ["a", "b", "c"], "embedding": pa.array(VECTORS)}).slice(1)
    items = items_from_table(table)
    assert items.item_ids.tolist() == ["b", "c"]
    np.testing.assert_array_equal(items.embeddings, VECTORS[1:])


def test_pattern_and_folder_read_all_files_in_order_of_their_paths(written, tmp_path):
    written("items/part-1.parquet", item_id=["b", "c"], embedding=VECTORS[1:])
    written("items/part-0.parquet", item_id=["a"], embedding=VECTORS[:1])
    written("items/.staging/part-2.parquet", item_id=["a"], embedding=VECTORS[:1])
    written("items/_old.parquet", item_id=["a"], embedding=VECTORS[:1])
    for place in (tmp_path / "items", tmp_path / "items" / "part-*.parquet"):
        items = read_items(place)
        assert items.item_ids.tolist() == ["a", "b", "c"]
        np.testing.assert_array_equal(items.embeddings, VECTORS)


def test_an_empty_file_among_others_is_no_mistake(written, tmp_path):
    written("a.parquet", item_id=pa.array([], pa.string()), embedding=pa.array([], pa.list_(pa.float64())))
    written("b.parquet", item_id=["a"], embedding=VECTORS[:1])
    assert read_items(tmp_path).item_ids.tolist() == ["a"]


MORNING = datetime.datetime(2020, 1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([5, -7]), [5, -7]),
        (pa.array([5, 7], pa.uint32()), [5, 7]),
        (pa.array([0.5, 1e9]), [500_000, 10**15]),
        (pa.array([0.5, 2.0], pa.float32()), [500_000, 2_000_000]),
        (pa.array([datetime.date(1970, 1, 2)] * 2), [86_400_000_000] * 2),
        (pa.array([MORNING] * 2, pa.timestamp("us")), [1_577_934_245_000_006] * 2),
        (pa.array([MORNING] * 2, pa.timestamp("us", "Europe/Berlin")), [1_577_934_245_000_006] * 2),
        (pa.array([1_999, 2_000], pa.timestamp("ns")), [1, 2]),
        (pa.array([1, 2], pa.timestamp("s")), [1_000_000, 2_000_000]),
    ],
)
def test_timestamps_become_microseconds_and_integers_stay(column, expected):
    found = events(timestamp=column).timestamps
    assert found.dtype == np.int64
    assert found.tolist() == expected


@pytest.mark.parametrize("column", [[True, False], [1, 0], [1.0, 0.0]])
def test_labels_of_every_type(column):
    labels = events(label=column).labels
    assert labels.dtype == np.float32
    assert labels.tolist() == [1, 0]


def test_label_and_position_are_optional_and_other_columns_are_not_read(written):
    columns = {"user_id": [1, 2], "item_id": ["a", "b"], "timestamp": [1, 2]}
    plain = read_interactions(written("plain.parquet", **columns, price=["x", "y"]))
    full = read_interactions(written("full.parquet", **columns, label=[0, 1], position=[4, 3]))
    assert plain.labels is None
    assert plain.positions is None
    assert plain.user_ids.tolist() == ["1", "2"]
    assert full.positions.dtype == np.int64
    assert full.positions.tolist() == [4, 3]
    assert full.take(np.array([False, True])).positions.tolist() == [3]


@pytest.mark.parametrize("optional", [{}, {"label": [1, 0]}, {"position": [2, 1], "label": [0, 0]}])
def test_written_tables_read_back_equal(tmp_path, optional):
    items = items_from_table(
        pa.table({"item_id": ["a", "b"], "title": ["A", None], "embedding": VECTORS[:2]})
    )
    interactions = events(**optional)
    write_tables(tmp_path, items, interactions)
    items_again, interactions_again = read_tables(tmp_path)
    assert items_again.table.equals(items.table)
    assert items_again.item_ids.tolist() == items.item_ids.tolist()
    np.testing.assert_array_equal(items_again.embeddings, items.embeddings)
    for name in ("user_ids", "item_ids", "timestamps", "labels", "positions"):
        old, new = getattr(interactions, name), getattr(interactions_again, name)
        assert (old is None) == (new is None)
        assert old is None or (old.dtype == new.dtype and old.tolist() == new.tolist())


def test_items_are_written_in_row_groups_and_byte_for_byte_alike(tmp_path):
    names = [str(row) for row in range(5000)]
    vectors = np.random.default_rng(0).random((5000, 3))
    items = items_from_table(pa.table({"item_id": names, "embedding": list(vectors)}))
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_tables(tmp_path / folder, items, events())
    metadata = pq.ParquetFile(tmp_path / "one" / "items.parquet").metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [4096, 904]
    for name in ("items.parquet", "interactions.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    np.testing.assert_array_equal(read_items(tmp_path / "one/items.parquet").embeddings, items.embeddings)


def test_drop_unknown_keeps_the_order_and_counts():
    interactions = interactions_from_table(
        pa.table(
            {
                "user_id": ["u", "v", "u", "w"],
                "item_id": ["b", "x", "a", "y"],
                "timestamp": [4, 3, 2, 1],
                "label": [1, 1, 0, 1],
            }
        )
    )
    kept, dropped = drop_unknown(interactions, np.array(["a", "b", "c"], object))
    assert dropped == 2
    assert kept.user_ids.tolist() == ["u", "u"]
    assert kept.item_ids.tolist() == ["b", "a"]
    assert kept.timestamps.tolist() == [4, 2]
    assert kept.labels.tolist() == [1, 0]


def test_drop_unknown_refuses_to_drop_all():
    with pytest.raises(
        DataError, match=r"none of the 2 interactions names an item .* such as 'a'; both tables"
    ):
        drop_unknown(events(), np.array(["0", "1"], object))


def test_item_index_is_the_row_plus_one():
    names = np.array(["c", "a", "b"], object)
    found = item_indices(names, np.array(["a", "?", "c", "c", "b"], object))
    assert found.dtype == np.int32
    assert found.tolist() == [2, 0, 1, 1, 3]


def test_users_are_numbered_by_first_appearance():
    users = index_users(events(user_id=["v", "u"]).take(np.array([0, 1, 0])))
    assert users.user_ids.tolist() == ["v", "u"]
    assert users.indices.tolist() == [0, 1, 0]
    assert users.indices.dtype == np.int32


def test_arrays_of_different_length_are_refused():
    names = np.array(["a", "b"], object)
    with pytest.raises(DataError, match="timestamps has 3 rows but user_ids 2"):
        Interactions(names, names, np.arange(3))
