"""The same items in every format, and what is wrong with damaged files."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from small_quantizer import embeddings, numpy_codes

import semid_tf as sid
from pipelines.encode import encode_corpus
from pipelines.sources import RowGroup, read_row_group

Rows = list[tuple[str | None, list[float] | None]]


def parquet(rows: Rows, path: Path) -> None:
    columns = {"item_id": [row[0] for row in rows], "embedding": [row[1] for row in rows]}
    pq.write_table(pa.table(columns), path, row_group_size=100)


def json_lines(rows: Rows, path: Path) -> None:
    lines = [json.dumps({"item_id": row[0], "title": "t", "embedding": row[1]}) + "\n" for row in rows]
    open_ = gzip.open if path.suffix == ".gz" else open
    with open_(path, "wt", encoding="utf-8") as file:
        file.writelines(lines)


def comma_separated(rows: Rows, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["title", "embedding", "item_id"])
        writer.writerows(["a, b", "" if row[1] is None else str(row[1]), row[0] or ""] for row in rows)


def avro(rows: Rows, path: Path) -> None:
    vectors = ["null", {"type": "array", "items": "double"}]
    fields = [{"name": "item_id", "type": ["null", "string"]}, {"name": "embedding", "type": vectors}]
    schema = {"type": "record", "name": "Item", "fields": fields}
    with path.open("wb") as file:
        records = [dict(zip(("item_id", "embedding"), row, strict=True)) for row in rows]
        fastavro.writer(file, schema, records, codec="deflate")


def tfrecord(rows: Rows, path: Path) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for item_id, vector in rows:
            features = {}
            if item_id is not None:
                features["item_id"] = tf.train.Feature(bytes_list={"value": [item_id.encode()]})
            if vector is not None:
                features["embedding"] = tf.train.Feature(float_list={"value": vector})
            writer.write(tf.train.Example(features={"feature": features}).SerializeToString())


FORMATS: dict[str, Callable[[Rows, Path], None]] = {
    "items.jsonl": json_lines,
    "items.json.gz": json_lines,
    "items.csv": comma_separated,
    "items.avro": avro,
    "items.tfrecord": tfrecord,
}


def rows() -> Rows:
    good: Rows = [(f"ü-{i}", vector) for i, vector in enumerate(embeddings(5_000, seed=9).tolist())]
    good[7], good[4_200], good[4_300] = (None, [0.5] * 8), ("no vector", None), ("short", [1.0, 2.0])
    good[4_400] = ("not finite", [float("nan")] * 8)
    good[4_999] = (good[3][0], [0.25] * 8)
    return good


@pytest.fixture(scope="module")
def expected(quantizer: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[pa.Table, pa.Table]:
    folder = tmp_path_factory.mktemp("parquet")
    parquet(rows(), folder / "items.parquet")
    encode_corpus(str(folder / "items.parquet"), quantizer, folder / "out")
    return doors(folder / "out")


def doors(folder: Path) -> tuple[pa.Table, pa.Table]:
    codes = pq.read_table(folder / "codes", columns=["item_id", "codes", "semantic_id", "content"])
    return codes, pq.read_table(folder / "rejected", columns=["reason", "row"])


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_codes_and_rejects_the_same_rows(
    name: str, quantizer: Path, tmp_path: Path, expected: tuple[pa.Table, pa.Table]
) -> None:
    FORMATS[name](rows(), tmp_path / name)
    report = encode_corpus(str(tmp_path / name), quantizer, tmp_path / "out")
    assert (report["input"], report["rejected"]) == (5_000, 5)
    assert doors(tmp_path / "out") == expected


def test_one_pattern_may_match_several_formats_and_schemas(quantizer: Path, tmp_path: Path) -> None:
    vectors = embeddings(6, seed=2)
    halves = pa.array(vectors[:2].astype(np.float16).tolist(), pa.list_(pa.float16(), 8))
    pq.write_table(pa.table({"embedding": halves, "item_id": [1, 2]}), tmp_path / "items-0.parquet")
    json_lines([("3", [1, 2, 3, 4, 5, 6, 7, 8]), ("4", None)], tmp_path / "items-1.jsonl")
    tfrecord([("5", vectors[4].tolist())], tmp_path / "items-2.tfrecord")
    report = encode_corpus(str(tmp_path / "items-*"), quantizer, tmp_path / "out")
    assert (report["encoded"], report["rejected_by_reason"]["missing_embedding"]) == (4, 1)
    assert pq.read_table(tmp_path / "out" / "codes")["item_id"].to_pylist() == ["1", "2", "3", "5"]


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def line_of_a_list(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "[1, 2]\n", encoding="utf-8")


def no_embedding(path: Path) -> None:
    path.write_text("item_id,vector\na,1 2\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "spoil", "kind"),
    [
        ("items.jsonl", damage, "JSON lines"),
        ("items.jsonl", line_of_a_list, "JSON lines"),
        ("items.json.gz", damage, "JSON lines"),
        ("items.csv", no_embedding, "CSV"),
        ("items.avro", damage, "Avro"),
        ("items.tfrecord", damage, "TFRecord"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(
    name: str, spoil: Callable[[Path], Any], kind: str, quantizer: Path, tmp_path: Path
) -> None:
    FORMATS[name](rows(), tmp_path / name)
    spoil(tmp_path / name)
    with pytest.raises(sid.DataError) as caught:
        encode_corpus(str(tmp_path / name), quantizer, tmp_path / "out")
    assert str(caught.value).startswith(f"{tmp_path / name}: is no whole {kind} file (")
    assert str(caught.value).endswith("); write it anew.")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_embeddings_of_another_type_or_dimension(quantizer: Path, tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"item_id": "a", "embedding": "1 2"}\n', encoding="utf-8")
    with pytest.raises(sid.DataError, match="column embedding is string; a list of float16"):
        encode_corpus(str(path), quantizer, tmp_path / "out")
    json_lines([("a", [1.0, 2.0])], path)
    with pytest.raises(sid.DataError, match="embeddings have 2 values, but quantizer 0123456789abcdef"):
        encode_corpus(str(path), quantizer, tmp_path / "out")


def test_a_bad_number_in_csv_rejects_its_row_alone(quantizer: Path, tmp_path: Path) -> None:
    lines = [f"{i},{' '.join(map(str, row))}" for i, row in enumerate(embeddings(6).tolist())]
    lines[2] = "2,1 2 3 four 5 6 7 8"
    lines[4] = '4,"[1, 2, 3, 4, 5, 6, 7, 0x10]"'
    lines.append("6,")
    path = tmp_path / "items.csv"
    path.write_text("\n".join(["item_id,embedding", *lines]) + "\n", encoding="utf-8")
    report = encode_corpus(str(path), quantizer, tmp_path / "out")
    assert (report["encoded"], report["rejected"]) == (4, 3)
    rejected = pq.read_table(tmp_path / "out" / "rejected").select(["item_id", "reason", "row"]).to_pylist()
    assert [tuple(row.values()) for row in rejected] == [
        ("2", "not_finite", 2),
        ("4", "not_finite", 4),
        ("6", "missing_embedding", 6),
    ]


def test_line_breaks_within_csv_fields_and_blocks(
    quantizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.formats._CSV_BLOCK", 2_000)
    path, vectors = tmp_path / "items.csv", embeddings(200).tolist()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["title", "item_id", "embedding"])
        writer.writerows(['two\nlines, "quoted"', f"item-{i:03}", vector] for i, vector in enumerate(vectors))
    encode_corpus(str(path), quantizer, tmp_path / "out")
    codes = pq.read_table(tmp_path / "out" / "codes")
    assert codes["item_id"].to_pylist() == [f"item-{i:03}" for i in range(200)]
    assert codes["codes"].to_pylist() == numpy_codes(np.array(vectors, np.float32)).tolist()


@pytest.mark.parametrize("name", FORMATS)
def test_tables_have_at_most_the_rows_of_a_batch(name: str, tmp_path: Path) -> None:
    FORMATS[name](rows(), tmp_path / name)
    tables = list(read_row_group(RowGroup(str(tmp_path / name), 0, 0)))
    assert [len(table) for table in tables] == [4_096, 904]
    assert np.concatenate([table["row"].to_numpy() for table in tables]).tolist() == list(range(5_000))


def test_names_that_look_like_dates_are_names(quantizer: Path, tmp_path: Path) -> None:
    path, names = tmp_path / "items.jsonl", ["2024-01-01", "2024-01-02"]
    json_lines(list(zip(names, embeddings(2).tolist(), strict=True)), path)
    encode_corpus(str(path), quantizer, tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / "codes")["item_id"].to_pylist() == names


def test_a_bad_value_in_json_rejects_its_row_alone(quantizer: Path, tmp_path: Path) -> None:
    vectors = embeddings(5_000).tolist()
    rows: list[tuple[Any, Any]] = [(f"item-{i}", vector) for i, vector in enumerate(vectors)]
    rows[10] = ("word", [*vectors[10][:7], "seven"])
    rows[20] = ("nothing", [*vectors[20][:7], None])
    rows[30] = ("text", "1 2 3 4 5 6 7 8")
    rows[40] = (40, vectors[40])
    rows[4_500] = ("null", None)
    path = tmp_path / "items.jsonl"
    lines = [json.dumps({"item_id": row[0], "embedding": row[1]}) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    encode_corpus(str(path), quantizer, tmp_path / "out")
    rejected = pq.read_table(tmp_path / "out" / "rejected").select(["item_id", "reason", "row"]).to_pylist()
    assert [tuple(row.values()) for row in rejected] == [
        ("word", "not_finite", 10),
        ("nothing", "not_finite", 20),
        ("text", "wrong_dimension", 30),
        ("null", "missing_embedding", 4_500),
    ]
    codes = pq.read_table(tmp_path / "out" / "codes")
    found = dict(zip(codes["item_id"].to_pylist(), codes["codes"].to_pylist(), strict=True))
    expected = numpy_codes(np.array(vectors, np.float32))
    assert found["40"] == expected[40].tolist()
    assert found["item-11"] == expected[11].tolist()
    assert len(found) == 4_996
