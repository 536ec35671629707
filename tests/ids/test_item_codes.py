"""Items and the codes they were given, on disk and from run to run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from worlds import World, by_id, items_of, picked, worlds

import semid_tf as sid


@given(worlds())
def test_save_and_load(tmp_path_factory: pytest.TempPathFactory, world: World) -> None:
    path = tmp_path_factory.mktemp("codes") / "codes.parquet"
    items = sid.ItemCodes(world.items.item_ids, world.items.codes, "f00")
    items.save(path)
    again = sid.ItemCodes.load(path)
    assert again.item_ids.tolist() == items.item_ids.tolist()
    assert again.codes.dtype == np.int32
    np.testing.assert_array_equal(again.codes, items.codes)
    assert again.quantizer == ("f00" if len(items) else "")
    assert [file.name for file in path.parent.iterdir()] == ["codes.parquet"]


def test_the_file_can_be_read_by_others(tmp_path: Path) -> None:
    items_of(["b", "a"], [[1, 20], [3, 4]]).save(tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").to_pylist() == [
        {"item_id": "b", "codes": [1, 20], "semantic_id": "1-20", "quantizer": ""},
        {"item_id": "a", "codes": [3, 4], "semantic_id": "3-4", "quantizer": ""},
    ]


@given(worlds())
def test_id_order_is_that_of_sorted(world: World) -> None:
    ids = world.items.item_ids
    assert ids[world.items.id_order].tolist() == sorted(ids.tolist())


@given(worlds())
def test_extended_by_what_is_new(world: World) -> None:
    early = picked(world.items, np.flatnonzero(world.early))
    both = early.extended(world.items)
    assert by_id(both) == by_id(world.items)
    assert both.item_ids[: len(early)].tolist() == early.item_ids.tolist()
    late = picked(world.items, np.flatnonzero(~world.early))
    assert by_id(early.extended(late)) == by_id(world.items)
    assert by_id(both.extended(late)) == by_id(both)


def test_extended_refuses_what_moved() -> None:
    message = (
        "item 'b' is published as 1-2, but is 1-3 now; pass the published codes when new ones are given."
    )
    with pytest.raises(sid.CodesError, match=f"^{re.escape(message)}$"):
        items_of(["a", "b"], [[0, 0], [1, 2]]).extended(items_of(["b"], [[1, 3]]))


def test_extended_refuses_another_quantizer() -> None:
    ours = sid.ItemCodes(np.array(["a"], object), np.zeros((1, 2), np.int32), "one")
    theirs = sid.ItemCodes(np.array(["b"], object), np.zeros((1, 2), np.int32), "two")
    with pytest.raises(sid.ProvenanceError, match="are of quantizer two, the published ones of one;"):
        ours.extended(theirs)


@pytest.mark.parametrize(
    ("ids", "codes", "message"),
    [
        (["a", "b"], np.zeros((3, 2), int), "2 item_ids meet 3 rows of codes; both must agree."),
        (["a", "b", "a"], np.zeros((3, 2), int), "item_ids must be unique; 'a' occurs more than once."),
        (["a", None], np.zeros((2, 2), int), "item_ids[1] is missing."),
        ([1, 2], np.zeros((2, 2), int), "item_ids must be strings; make text of them first."),
        (["a"], np.array([[0, -3]]), "codes[0, 1] is -3; codes begin at 0."),
        (["a"], np.zeros(1, int), "codes are int64 [1]; integers [items, levels] are needed."),
        (["a"], np.zeros((1, 2)), "codes are float64 [1, 2]; integers [items, levels] are needed."),
    ],
)
def test_what_is_refused(ids: list, codes: np.ndarray, message: str) -> None:
    with pytest.raises(sid.DataError, match=f"^{re.escape(message)}$"):
        sid.ItemCodes(np.array(ids, object), codes)


def test_files_that_hold_something_else(tmp_path: Path) -> None:
    with pytest.raises(sid.ArtifactError, match=r"missing\.parquet holds no item codes; give a file"):
        sid.ItemCodes.load(tmp_path / "missing.parquet")
    pq.write_table(pa.table({"item_id": ["a"]}), tmp_path / "x.parquet")
    with pytest.raises(sid.ArtifactError, match=r"x\.parquet holds no item codes; give a file"):
        sid.ItemCodes.load(tmp_path / "x.parquet")


def test_parts_of_the_encode_job(tmp_path: Path) -> None:
    (tmp_path / "codes").mkdir()
    (tmp_path / "report.json").write_text("{}")
    for part, (ids, codes) in enumerate([(["b"], [[1, 2]]), ([], []), (["c", "a"], [[3, 4], [5, 0]])]):
        columns = {"item_id": pa.array(ids, pa.string()), "codes": pa.array(codes, pa.list_(pa.int32()))}
        columns |= {"quantizer": pa.array(["f00"] * len(ids), pa.string())}
        pq.write_table(pa.table(columns), tmp_path / "codes" / f"part-0000{part}-of-00003.parquet")
    loaded = sid.ItemCodes.load(tmp_path)
    assert (loaded.item_ids.tolist(), loaded.quantizer) == (["b", "c", "a"], "f00")
    assert (loaded.codes.tolist(), loaded.codes.dtype) == ([[1, 2], [3, 4], [5, 0]], np.int32)
    assert sid.ItemCodes.load(tmp_path / "codes").item_ids.tolist() == ["b", "c", "a"]


@pytest.mark.parametrize("codes", [[[1, 2], [3]], [[1, 2], None], [None, None]])
def test_codes_of_no_one_length(tmp_path: Path, codes: list) -> None:
    columns = {"item_id": ["a", "b"], "codes": pa.array(codes, pa.list_(pa.int32())), "quantizer": ["f", "f"]}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(sid.ArtifactError, match=r"x\.parquet holds no item codes; give a file"):
        sid.ItemCodes.load(tmp_path / "x.parquet")


def test_a_file_of_two_quantizers(tmp_path: Path) -> None:
    codes = pa.FixedSizeListArray.from_arrays(pa.array([0, 1], pa.int32()), 1)
    table = pa.table({"item_id": ["a", "b"], "codes": codes, "quantizer": ["one", "two"]})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(sid.ProvenanceError, match="mixes codes of"):
        sid.ItemCodes.load(tmp_path / "x.parquet")
