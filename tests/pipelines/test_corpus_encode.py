"""The encode job on Beam's local runner: every item leaves by the right door, with the right codes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from small_quantizer import CODES, FINGERPRINT, LEVELS, embeddings, numpy_codes

import semid_tf as sid
from pipelines.encode import codes_fingerprint, encode_corpus, main
from pipelines.sources import read_row_group, row_groups

Row = tuple[str | None, list[float] | None]
FAULTS: dict[str, Row] = {
    "missing_item_id": ("", [0.0] * 8),
    "missing_embedding": ("no embedding", None),
    "wrong_dimension": ("short", [1.0] * 7),
    "not_finite": ("nan", [math.nan, *[1.0] * 7]),
}
MORE_FAULTS: dict[str, list[Row]] = {
    "missing_item_id": [(None, [0.0] * 8)],
    "wrong_dimension": [("empty", []), ("long", [1.0] * 9)],
    "not_finite": [("infinite", [1.0] * 7 + [-math.inf]), ("too big", [1e39] + [0.0] * 7)],
}


def rows_with_faults(count: int, seed: int) -> tuple[list[Row], dict[int, str]]:
    """Good rows with every kind of bad row strewn in, and what is wrong where."""
    rows: list[Row] = [(f"item-{seed}-{i}", v) for i, v in enumerate(embeddings(count, seed).tolist())]
    bad = [(reason, row) for reason, row in FAULTS.items()]
    bad += [(reason, row) for reason, more in MORE_FAULTS.items() for row in more]
    places = np.random.default_rng(seed).choice(count, size=3 * len(bad), replace=False).tolist()
    wrong = {}
    for place, (reason, row) in zip(places, bad * 3, strict=True):
        rows[place], wrong[place] = row, reason
    return rows, wrong


def write(rows: list[Row], path: Path, row_group_size: int) -> str:
    vectors = pa.array([row[1] for row in rows], pa.list_(pa.float64()))
    table = pa.table({"item_id": [row[0] for row in rows], "title": ["t"] * len(rows), "embedding": vectors})
    pq.write_table(table, path, row_group_size=row_group_size)
    return str(path)


class Corpus:
    """Two files with faults and duplicates, and what must become of each row."""

    def __init__(self, folder: Path) -> None:
        first, wrong_first = rows_with_faults(5_000, 1)
        second, wrong_second = rows_with_faults(300, 2)
        good = [i for i in range(5_000) if i not in wrong_first]
        repeated = [i for i in range(300) if i not in wrong_second][:20]
        for place, original in zip(repeated, good[::100], strict=False):
            second[place] = (first[original][0], second[place][1])
            wrong_second[place] = "duplicate_item_id"
        first[good[-1]], wrong_first[good[-1]] = first[good[0]], "duplicate_item_id"
        self.rows, self.wrong = [first, second], [wrong_first, wrong_second]
        self.files = [
            write(first, folder / "items-0.parquet", 4_500),
            write(second, folder / "items-1.parquet", 100),
        ]
        self.pattern = str(folder / "items-*.parquet")

    def rejected(self) -> list[dict[str, Any]]:
        return [
            {"item_id": rows[row][0], "reason": wrong[row], "source": source, "row": row}
            for rows, wrong, source in zip(self.rows, self.wrong, self.files, strict=True)
            for row in sorted(wrong)
        ]

    def encoded(self) -> dict[str, list[float]]:
        good: dict[str, list[float]] = {}
        for rows, wrong in zip(self.rows, self.wrong, strict=True):
            good.update((rows[i][0], rows[i][1]) for i in range(len(rows)) if i not in wrong)  # type: ignore[misc]
        return good


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def output(corpus: Corpus, quantizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("output")
    encode_corpus(corpus.pattern, quantizer, folder, num_shards=2)
    return folder


def parts(folder: Path) -> dict[str, pa.Table]:
    """All files; all columns but the time, which tells runs apart."""
    return {str(path.relative_to(folder)): timeless(path) for path in sorted(folder.rglob("*.parquet"))}


def timeless(path: Path) -> pa.Table:
    table = pq.read_table(path)
    return table.select([name for name in table.column_names if name != "encoded_at"])


def codes_of(folder: Path) -> tuple[list[str], np.ndarray]:
    table = pq.read_table(folder / "codes").sort_by("item_id")
    return table["item_id"].to_pylist(), np.array(table["codes"].to_pylist(), np.int32)


def test_every_item_leaves_by_exactly_one_door(corpus: Corpus, output: Path) -> None:
    report = json.loads((output / "report.json").read_text())
    expected = Counter(row["reason"] for row in corpus.rejected())
    assert report["rejected_by_reason"] == dict(expected)
    assert set(expected) == {*FAULTS, "duplicate_item_id"}
    assert report["input"] == 5_300 == report["encoded"] + report["rejected"]
    assert report["rejected"] == expected.total() == pq.read_table(output / "rejected").num_rows
    assert report["encoded"] == len(corpus.encoded()) == pq.read_table(output / "codes").num_rows


def test_rejected_rows_name_their_file_and_row(corpus: Corpus, output: Path) -> None:
    found = pq.read_table(output / "rejected").sort_by([("source", "ascending"), ("row", "ascending")])
    assert found.to_pylist() == corpus.rejected()
    assert found.schema.field("row").type == pa.int64()


def test_codes_are_the_saved_models_codes(corpus: Corpus, output: Path, quantizer: Path) -> None:
    good = corpus.encoded()
    item_ids, codes = codes_of(output)
    assert item_ids == sorted(good)
    vectors = np.array([good[item_id] for item_id in item_ids], np.float32)
    model = tf.saved_model.load(str(quantizer))
    direct = model.signatures["encode"](embedding=tf.constant(vectors))["codes"].numpy()
    np.testing.assert_array_equal(codes, direct)
    np.testing.assert_array_equal(codes, numpy_codes(vectors))


def test_codes_file_has_text_form_and_origin(output: Path) -> None:
    table = pq.read_table(output / "codes")
    codes = np.array(table["codes"].to_pylist())
    assert table.schema.equals(
        pa.schema(
            {
                "item_id": pa.string(),
                "codes": pa.list_(pa.int32()),
                "semantic_id": pa.string(),
                "quantizer": pa.string(),
                "encoded_at": pa.timestamp("us", "UTC"),
                "content": pa.int64(),
            }
        )
    )
    assert table["semantic_id"].to_pylist() == sid.format_semantic_ids(codes)
    assert set(table["quantizer"].to_pylist()) == {FINGERPRINT}


def test_report_describes_the_codes(output: Path) -> None:
    report = json.loads((output / "report.json").read_text())
    _, codes = codes_of(output)
    assert report["code_usage"] == sid.code_usage(codes, sid.CodeSpace(LEVELS, CODES))
    assert report["unique_rate"] == pytest.approx(sid.unique_rate(codes))
    assert (report["levels"], report["quantizer"]) == (LEVELS, FINGERPRINT)
    assert report["fingerprint"] == codes_fingerprint(output)
    assert report["seconds"] > 0


def test_a_second_run_writes_the_same_files(
    corpus: Corpus, output: Path, quantizer: Path, tmp_path: Path
) -> None:
    encode_corpus(corpus.pattern, quantizer, tmp_path, num_shards=2)
    assert list(parts(output)) == [
        f"{door}/part-0000{i}-of-00002.parquet" for door in ("codes", "rejected") for i in range(2)
    ]
    assert parts(tmp_path) == parts(output)


def test_neither_files_nor_row_groups_nor_shards_change_the_codes(
    corpus: Corpus, output: Path, quantizer: Path, tmp_path: Path
) -> None:
    rows = corpus.rows[0] + corpus.rows[1]
    for number, start in enumerate(range(0, len(rows), 1_900)):
        write(rows[start : start + 1_900], tmp_path / f"piece-{number}.parquet", 333)
    same, one = tmp_path / "same", tmp_path / "one"
    encode_corpus(str(tmp_path / "piece-*.parquet"), quantizer, same, num_shards=2)
    assert parts(same / "codes") == parts(output / "codes")
    encode_corpus(str(tmp_path / "piece-*.parquet"), quantizer, one)
    assert list(parts(one / "codes")) == ["part-00000-of-00001.parquet"]
    assert codes_of(one)[0] == codes_of(output)[0]
    np.testing.assert_array_equal(codes_of(one)[1], codes_of(output)[1])


def test_row_groups_are_read_in_batches_that_know_their_rows(corpus: Corpus) -> None:
    groups = row_groups(corpus.files[0])
    assert [group.first_row for group in groups] == [0, 4_500]
    tables = [table for group in groups for table in read_row_group(group)]
    assert [len(table) for table in tables] == [4_096, 404, 500]
    assert np.concatenate([table["row"].to_numpy() for table in tables]).tolist() == list(range(5_000))
    assert set(tables[-1]["source"].to_pylist()) == {corpus.files[0]}
    assert tables[-1].column_names == ["item_id", "embedding", "source", "row"]


def test_more_shards_than_items_leaves_empty_parts(
    quantizer: Path, tmp_path: Path, write_items: Callable[..., str]
) -> None:
    path = write_items([10, 9], embeddings(2).astype(np.float16).tolist())
    report = encode_corpus(path, quantizer, tmp_path / "out", num_shards=5)
    assert (report["encoded"], report["rejected"]) == (2, 0)
    assert len(parts(tmp_path / "out" / "codes")) == len(parts(tmp_path / "out" / "rejected")) == 5
    assert codes_of(tmp_path / "out")[0] == ["10", "9"]


def test_codes_of_a_trained_rqvae_survive_beam_bit_for_bit(
    tmp_path: Path, write_items: Callable[..., str]
) -> None:
    vectors = embeddings(600)
    config = sid.RQVAEConfig(num_levels=2, codebook_size=8, latent_dim=4, hidden_dim=16, epochs=1)
    model = sid.fit_rqvae(vectors, config=config)
    with sid.staging(tmp_path) as folder:
        sid.save_quantizer(model, folder)
        space = {"num_levels": 2, "codebook_size": 8}
        sid.publish(folder, tmp_path / "rqvae", sid.Manifest("quantizer", "f" * 16, "inputs", config=space))
    path = write_items(list(range(600)), vectors.tolist())
    encode_corpus(path, tmp_path / "rqvae", tmp_path / "out")
    item_ids, codes = codes_of(tmp_path / "out")
    direct = sid.load_quantizer(tmp_path / "rqvae").encode(vectors)
    np.testing.assert_array_equal(codes, direct[[int(item_id) for item_id in item_ids]])


def test_main_publishes_once_and_never_overwrites(
    corpus: Corpus, output: Path, quantizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "made" / "codes-1"
    flags = [
        "--items",
        corpus.pattern,
        "--quantizer",
        str(quantizer),
        "--output",
        str(target),
        "--num_shards=2",
    ]
    assert main([*flags, "--runner=FnApiRunner"]) == 0
    assert "5,300 items: 5,2" in capsys.readouterr().out
    artifact = sid.open_artifact(target, "codes")
    artifact.require_parent(sid.open_artifact(quantizer, "quantizer"))
    assert artifact.manifest.config["codebook_size"] == CODES
    assert parts(target) == parts(output)
    assert [path.name for path in target.parent.iterdir()] == ["codes-1"]

    assert main(flags) == 2
    assert (
        capsys.readouterr().err
        == f"error: {target} exists and is never overwritten; give another output folder.\n"
    )
    assert parts(target) == parts(output)
