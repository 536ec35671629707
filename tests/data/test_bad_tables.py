"""Each mistake in a table is told in one line: what, where, and what would be right."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semid_tf.data import interactions_from_table, items_from_table, read_interactions, read_items
from semid_tf.errors import DataError

GOOD = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
NAN, INF = float("nan"), float("inf")


def message(read, *args) -> str:
    with pytest.raises(DataError) as caught:
        read(*args)
    text = str(caught.value)
    assert "\n" not in text
    return text


def bad_items(**columns) -> str:
    return message(items_from_table, pa.table({"item_id": ["a", "b", "c"], "embedding": GOOD} | columns))


def bad_events(**columns) -> str:
    base = {"user_id": ["u", "v"], "item_id": ["a", "b"], "timestamp": [1, 2]}
    return message(interactions_from_table, pa.table(base | columns))


def test_no_file(tmp_path):
    pattern = str(tmp_path / "none-*.parquet")
    expected = f"no file matches {pattern!r}; give a Parquet file, a pattern or a folder."
    assert message(read_items, pattern) == expected
    assert message(read_interactions, pattern) == expected


def test_folder_without_parquet(tmp_path):
    (tmp_path / "readme.txt").write_text("none")
    assert message(read_items, tmp_path).startswith(f"the folder {tmp_path} holds no .parquet file;")


@pytest.mark.parametrize("keep", [0, 3, 100, -1, -20])
def test_truncated_file(written, keep):
    path = written(item_id=["a", "b", "c"], embedding=GOOD)
    with open(path, "rb+") as file:
        content = file.read()
        file.seek(0)
        file.truncate()
        file.write(content[:keep])
    assert message(read_items, path).startswith(f"{path} cannot be read as Parquet: ")


def test_damaged_inside(written):
    path = written(user_id=["u"] * 1000, item_id=[str(i) for i in range(1000)], timestamp=list(range(1000)))
    with open(path, "rb+") as file:
        file.seek(4)
        file.write(b"\xff" * 600)
    assert message(read_interactions, path).startswith(f"{path} cannot be read as Parquet: ")


def test_text_file(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("item_id,embedding\n")
    assert message(read_items, path).startswith(f"{path} cannot be read as Parquet: ")


def test_missing_column_names_file_and_columns_found(written):
    path = written(item=["a"], embedding=GOOD[:1])
    assert message(read_items, path) == f"{path} has no column item_id; it has item, embedding."
    path = written(user_id=["a"], item_id=["b"])
    assert message(read_interactions, path) == f"{path} has no column timestamp; it has user_id, item_id."
    assert message(items_from_table, pa.table({"item_id": ["a"]})) == (
        "items has no column embedding; it has item_id."
    )


def test_column_twice(tmp_path):
    table = pa.Table.from_arrays(
        [pa.array(["a"])] * 2 + [pa.array(GOOD[:1])], ["item_id", "item_id", "embedding"]
    )
    assert message(items_from_table, table) == "items has 2 columns named item_id; it must have one."
    path = tmp_path / "items.parquet"
    pq.write_table(table, path)
    assert message(read_items, path) == f"{path} has 2 columns named item_id; it must have one."


def test_empty_table(written):
    path = written(item_id=pa.array([], pa.string()), embedding=pa.array([], pa.list_(pa.float32())))
    assert message(read_items, path) == f"{path} has no rows; it must have at least one."


def test_files_that_differ(written, tmp_path):
    written("a.parquet", item_id=["a"], embedding=GOOD[:1])
    written("b.parquet", item_id=["b"], embedding=["text"])
    text = message(read_items, tmp_path)
    assert text.startswith(f"files of {str(tmp_path)!r} differ in their columns (")
    assert text.endswith("); give all the same types.")


def test_rows_count_within_their_file(written, tmp_path):
    first = written("a.parquet", item_id=["a", "b"], embedding=GOOD[:2])
    second = written("b.parquet", item_id=["c", "a"], embedding=GOOD[:2])
    assert message(read_items, tmp_path) == (
        f"{second}, row 1: item_id 'a' occurs already in {first}, row 0; each must occur once."
    )


def test_item_ids():
    assert bad_items(item_id=["a", None, "c"]) == "items, row 1: item_id is null; give each row one."
    assert bad_items(item_id=["a", "b", ""]) == "items, row 2: item_id is empty; give each row a name."
    assert bad_items(item_id=["a", "b", "b"]) == (
        "items, row 2: item_id 'b' occurs already in items, row 1; each must occur once."
    )
    assert bad_items(item_id=[1.0, 2.0, 3.0]) == (
        "items: column item_id is of type double; it must be a string or an integer."
    )


def test_embeddings():
    assert bad_items(embedding=[GOOD[0], None, GOOD[2]]) == (
        "items, row 1: embedding is null; give each row one."
    )
    assert bad_items(embedding=[[1.0], *GOOD[1:]]) == (
        "items, row 0: embedding of item 'a' has length 1; most have 2, and all must have one length."
    )
    assert bad_items(embedding=pa.array([[], [], []], pa.list_(pa.float32()))) == (
        "items, row 0: embedding has length 0; it must have at least one number."
    )
    for wrong, kind in (("text", "string"), ([1, 2], "list<item: int64>"), (1.0, "double")):
        assert bad_items(embedding=[wrong] * 3) == (
            f"items: column embedding is of type {kind}; it must be a list of float16, float32 or float64."
        )


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
@pytest.mark.parametrize(("wrong", "shown"), [(NAN, "nan"), (INF, "inf"), (-INF, "-inf"), (None, "nan")])
def test_numbers_that_are_not_finite(kind, wrong, shown):
    column = pa.array([[1, 2], [3, wrong], [wrong, wrong]], pa.list_(pa.float64())).cast(pa.list_(kind))
    assert bad_items(embedding=column) == (
        f"items, row 1: embedding of item 'b' is {shown} in float32 at position 1, "
        "and 2 further numbers are not finite; all must be."
    )


def test_a_double_beyond_float32_is_infinite():
    assert "item 'c' is -inf in float32 at position 0, and 0 further" in bad_items(
        embedding=[*GOOD[:2], [-1e300, 0.0]]
    )


@pytest.mark.parametrize("name", ["user_id", "item_id", "timestamp", "label", "position"])
def test_null_in_any_column_of_interactions(name):
    good = 1 if name in ("timestamp", "label", "position") else "x"
    expected = f"interactions, row 1: {name} is null; give each row one."
    assert bad_events(**{name: [good, None]}) == expected
    assert bad_events(**{name: [None, None]}) == expected.replace("row 1", "row 0")


def test_interactions():
    assert bad_events(user_id=["", "u"]) == "interactions, row 0: user_id is empty; give each row a name."
    assert bad_events(label=[1, 2]) == "interactions, row 1: label is 2; it must be 0 or 1."
    assert bad_events(label=[0.5, 2]) == "interactions, row 0: label is 0.5; it must be 0 or 1."
    assert bad_events(label=[NAN, 1]) == "interactions, row 0: label is nan; it must be 0 or 1."
    assert bad_events(label=["yes", "no"]) == (
        "interactions: column label is of type string; it must be a boolean or a number."
    )
    assert bad_events(position=[0.0, 1.0]) == (
        "interactions: column position is of type double; it must be an integer."
    )
    assert bad_events(timestamp=["2020", "2021"]) == (
        "interactions: column timestamp is of type string; "
        "it must be a timestamp, a date, an integer or a float."
    )


@pytest.mark.parametrize("wrong", [NAN, INF, 1e13])
def test_float_timestamps_beyond_int64(wrong):
    assert bad_events(timestamp=[1.0, wrong]) == (
        f"interactions, row 1: timestamp is {wrong:g}; a float is read as seconds since 1970; "
        "give other units as integers."
    )


@pytest.mark.parametrize(
    "column", [pa.array([1, 2**63], pa.uint64()), pa.array([0, 2**60], pa.timestamp("s"))]
)
def test_timestamps_beyond_int64(column):
    text = bad_events(timestamp=column)
    assert text.startswith("interactions: column timestamp does not fit int64 (")
