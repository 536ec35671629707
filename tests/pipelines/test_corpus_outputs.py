"""Piece ids, further formats, COMPLETED, and outputs on other file systems."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from mapped_files import MappedFiles
from small_quantizer import CODES, FINGERPRINT, LEVELS, embeddings, numpy_codes

import semid_tf as sid
from pipelines.codes_files import CodesFiles
from pipelines.encode import encode_corpus, main, publish_corpus
from pipelines.pieces import SENTENCEPIECE_FILE, save_tokenizer

SPACE = sid.CodeSpace(LEVELS, CODES)


def publish_tokenizer(tokenizer: sid.Tokenizer, target: Path, quantizer: str = FINGERPRINT) -> Path:
    with sid.staging(target.parent) as folder:
        save_tokenizer(tokenizer, folder)
        sid.publish(folder, target, sid.Manifest("tokenizer", "t" * 16, "inputs", {"quantizer": quantizer}))
    return target


def publish_model(tokenizer: sid.SentencePieceTokenizer, target: Path) -> Path:
    """As `semid train-tokenizer` does: the model alone, which does not say its code space."""
    with sid.staging(target.parent) as folder:
        (folder / SENTENCEPIECE_FILE).write_bytes(tokenizer.model)
        sid.publish(folder, target, sid.Manifest("tokenizer", "t" * 16, "inputs"))
    return target


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return embeddings(700, seed=11)


@pytest.fixture(scope="module")
def tokenizers(vectors: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, sid.Tokenizer]:
    codes = numpy_codes(vectors)
    sentencepiece = sid.train_sentencepiece(codes, np.arange(len(codes)), SPACE, num_rows=80)
    return {"two": sid.NgramTokenizer(SPACE, n=2), "bpe": sentencepiece, "prefix": sid.PrefixTokenizer(SPACE)}


@pytest.fixture(scope="module")
def named(tokenizers: dict[str, sid.Tokenizer], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("tokenizers")
    return [f"{name}={publish_tokenizer(it, folder / name)}" for name, it in tokenizers.items()]


@pytest.fixture(scope="module")
def items(vectors: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("items") / "items.parquet"
    names = [f"item-{i:03d}" for i in range(len(vectors))]
    pq.write_table(pa.table({"item_id": names, "embedding": vectors.tolist()}), path)
    return str(path)


@pytest.fixture(scope="module")
def output(items: str, quantizer: Path, named: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("output") / "codes-1"
    flags = ["--items", items, "--quantizer", str(quantizer), "--output", str(target), "--num_shards=2"]
    flags += [flag for text in named for flag in ("--tokenizer", text)]
    flags += [flag for kind in READERS for flag in ("--format", kind)]
    assert main(flags) == 0
    return target


def test_piece_ids_are_the_tokenizers_own(
    output: Path, vectors: np.ndarray, tokenizers: dict[str, sid.Tokenizer]
) -> None:
    table = pq.read_table(output / "codes").sort_by("item_id")
    for name, tokenizer in tokenizers.items():
        found = table[f"piece_ids_{name}"]
        assert found.type == pa.list_(pa.int32())
        assert found.to_pylist() == tokenizer.encode(numpy_codes(vectors)).tolist()


def test_an_incremental_run_may_have_other_tokenizers(
    output: Path, items: str, quantizer: Path, named: list[str], vectors: np.ndarray, tmp_path: Path
) -> None:
    report = encode_corpus(items, quantizer, tmp_path, previous=output, tokenizers=named[:1])
    assert report["unchanged"] == len(vectors)
    table = pq.read_table(tmp_path / "codes")
    assert [name for name in table.column_names if name.startswith("piece_ids")] == ["piece_ids_two"]
    expected = sid.NgramTokenizer(SPACE, n=2).encode(numpy_codes(vectors))
    assert table["piece_ids_two"].to_pylist() == expected.tolist()


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_avro(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        return list(fastavro.reader(file))


def read_tfrecord(path: Path) -> list[dict[str, Any]]:
    numbers = tf.io.FixedLenFeature((LEVELS,), tf.int64)
    texts = tf.io.FixedLenFeature((), tf.string)
    one = tf.io.FixedLenFeature((), tf.int64)
    features = {"item_id": texts, "codes": numbers, "semantic_id": texts, "quantizer": texts}
    features |= {"encoded_at": one, "content": one, "piece_ids_bpe": numbers}
    rows = tf.data.TFRecordDataset(str(path)).map(lambda row: tf.io.parse_single_example(row, features))
    return [{name: _plain(value) for name, value in row.items()} for row in rows.as_numpy_iterator()]


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value.tolist()


READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "jsonl": read_json_lines,
    "csv": read_csv,
    "avro": read_avro,
    "tfrecord": read_tfrecord,
}


@pytest.mark.parametrize("kind", READERS)
def test_every_format_holds_the_rows_of_the_parquet_parts(kind: str, output: Path) -> None:
    for part in sorted((output / "codes").iterdir()):
        expected = pq.read_table(part).to_pylist()
        found = READERS[kind](output / f"codes_{kind}" / part.with_suffix(f".{kind}").name)
        assert [row["item_id"] for row in found] == [row["item_id"] for row in expected]
        assert [row["semantic_id"] for row in found] == [row["semantic_id"] for row in expected]
        assert [int(row["content"]) for row in found] == [row["content"] for row in expected]
        for name in ("codes", "piece_ids_bpe"):
            lists = [row[name] for row in found]
            if kind == "csv":
                lists = [[int(number) for number in text.split()] for text in lists]
            assert lists == [row[name] for row in expected]
        assert {moment(row["encoded_at"]) for row in found} == {moment(row["encoded_at"]) for row in expected}


def moment(value: Any) -> int:
    """Microseconds since 1970."""
    return value if isinstance(value, int) else pa.scalar(value).cast(pa.timestamp("us", "UTC")).value


def test_completed_names_the_output(output: Path) -> None:
    artifact = sid.open_artifact(output, "codes")
    assert (output / "COMPLETED").read_text() == artifact.fingerprint + "\n"
    others = [path for path in output.rglob("*") if path.is_file() and path.name not in LAST]
    assert max(path.stat().st_mtime_ns for path in others) <= (output / "COMPLETED").stat().st_mtime_ns


LAST = ("COMPLETED", "manifest.json")


def test_a_tokenizer_of_other_codes_is_refused(items: str, quantizer: Path, tmp_path: Path) -> None:
    larger = sid.CodeSpace(LEVELS, 4 * CODES)
    codes = np.random.default_rng(0).integers(0, 4 * CODES, (50, LEVELS))
    model = sid.train_sentencepiece(codes, np.ones(50, int), larger, larger.num_codes + 20)
    refused = {
        publish_model(model, tmp_path / "larger"): r"larger: the SentencePiece model has other pieces than",
        publish_tokenizer(sid.NgramTokenizer(SPACE), tmp_path / "foreign", "f" * 16): (
            f"foreign was trained on codes of quantizer {'f' * 16}, these are of {FINGERPRINT}"
        ),
    }
    for folder, message in refused.items():
        with pytest.raises(sid.ProvenanceError, match=message):
            encode_corpus(items, quantizer, tmp_path / "out", tokenizers=[f"a={folder}"])


def test_what_is_no_tokenizer_or_format(items: str, quantizer: Path, tmp_path: Path) -> None:
    def refused(error: type[sid.SemidError], match: str, **settings: Any) -> None:
        with pytest.raises(error, match=match) as caught:
            encode_corpus(items, quantizer, tmp_path / "out", **settings)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()

    whole = publish_tokenizer(sid.NgramTokenizer(SPACE), tmp_path / "whole")
    other = publish_tokenizer(sid.NgramTokenizer(sid.CodeSpace(2, 8)), tmp_path / "other")
    broken = publish_tokenizer(sid.NgramTokenizer(SPACE), tmp_path / "broken")
    (broken / "tokenizer.json").write_text('{"class": "CodeSpace", "config": {}}')
    refused(sid.ConfigError, r"must be NAME=FOLDER with different names, got a\.$", tokenizers=["a"])
    refused(sid.ConfigError, "different names", tokenizers=[f"a={whole}", f"a={whole}"])
    refused(sid.ProvenanceError, r"other is for CodeSpace\(.*, but the codes", tokenizers=[f"a={other}"])
    refused(sid.ArtifactError, r"broken holds no tokenizer \(CodeSpace is no", tokenizers=[f"a={broken}"])
    refused(sid.ArtifactError, "is a quantizer, not a tokenizer", tokenizers=[f"a={quantizer}"])
    refused(
        sid.ConfigError,
        r"^xml is no further format; .* tfrecord, jsonl, avro, csv\.$",
        formats=["xml"],
    )


def test_items_and_output_on_another_file_system(
    output: Path, items: str, quantizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MappedFiles.root = tmp_path
    (tmp_path / "items").mkdir()
    (tmp_path / "items" / "a.parquet").write_bytes(Path(items).read_bytes())
    flags = ["--items", "mapped://items/*.parquet", "--quantizer", str(quantizer), "--num_shards=2"]
    first, second = "mapped://out/1", "mapped://out/2"
    assert main([*flags, "--output", first, "--format", "csv"]) == 0
    assert codes_of(tmp_path / "out" / "1") == codes_of(output)
    assert (tmp_path / "out/1/codes_csv/part-00001-of-00002.csv").exists()
    assert json.loads((tmp_path / "out/1/manifest.json").read_text())["kind"] == "codes"
    assert main([*flags, "--output", first]) == 2
    assert "exists and is never overwritten" in capsys.readouterr().err

    assert main([*flags, "--output", second, "--previous", first]) == 0
    assert "700 items: 0 encoded, 700 unchanged" in capsys.readouterr().out
    assert codes_of(tmp_path / "out" / "2") == codes_of(output)
    (tmp_path / "out/1/COMPLETED").unlink()
    assert main([*flags, "--output", "mapped://out/3", "--previous", first]) == 2
    assert capsys.readouterr().err == f"error: {first} is no complete artifact: it has no COMPLETED.\n"


def test_tokenizers_on_another_file_system(
    items: str, quantizer: Path, vectors: np.ndarray, tmp_path: Path
) -> None:
    MappedFiles.root = tmp_path
    publish_tokenizer(sid.PrefixTokenizer(SPACE), tmp_path / "tokenizers" / "prefix")
    encode_corpus(items, quantizer, tmp_path / "out", tokenizers=["it=mapped://tokenizers/prefix"])
    table = pq.read_table(tmp_path / "out" / "codes").sort_by("item_id")
    assert (
        table["piece_ids_it"].to_pylist() == sid.PrefixTokenizer(SPACE).encode(numpy_codes(vectors)).tolist()
    )


def test_what_is_missing_on_another_file_system_is_named_as_it_was_given(
    items: str, quantizer: Path, tmp_path: Path
) -> None:
    MappedFiles.root = tmp_path
    for settings in (
        {"quantizer": "mapped://none"},
        {"quantizer": quantizer, "tokenizers": ["a=mapped://none"]},
    ):
        with pytest.raises(sid.ArtifactError) as caught:
            encode_corpus(items, folder=tmp_path / "out", **settings)
        assert str(caught.value) == "mapped://none is no complete artifact: it has no manifest.json."
    with pytest.raises(sid.ArtifactError, match=r"^nofs://out: cannot be reached \(Unable to get filesystem"):
        publish_corpus(items, quantizer, "nofs://out")


def codes_of(folder: Path) -> list[pa.Table]:
    names = ["item_id", "codes", "semantic_id", "quantizer", "content"]
    return [pq.read_table(path, columns=names) for path in sorted((folder / "codes").iterdir())]


def test_a_failed_job_leaves_no_output_that_is_complete(items: str, quantizer: Path, tmp_path: Path) -> None:
    MappedFiles.root = tmp_path
    (tmp_path / "a.parquet").write_bytes(Path(items).read_bytes())
    table = pq.read_table(items)
    pq.write_table(pa.table({"item_id": [""] * 700, "embedding": table["embedding"]}), tmp_path / "b.parquet")
    with pytest.raises(sid.DataError, match="700 of 1400 items were rejected"):
        publish_corpus("mapped://*.parquet", quantizer, "mapped://out", max_rejected_rate=0.1)
    assert not (tmp_path / "out" / "COMPLETED").exists()
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_parts_of_two_runs_are_never_mixed(items: str, quantizer: Path, tmp_path: Path) -> None:
    MappedFiles.root = tmp_path
    # A run of three shards died before it was completed.
    encode_corpus(items, quantizer, "mapped://out", num_shards=3)
    for door in ("codes", "rejected"):
        with pytest.raises(
            sid.ArtifactError, match=f"^mapped://out/{door} exists and is never overwritten; give"
        ):
            publish_corpus(items, quantizer, "mapped://out", num_shards=2)
        shutil.rmtree(tmp_path / "out" / door)
    publish_corpus(items, quantizer, "mapped://out", num_shards=2)
    assert len(CodesFiles.open("mapped://out").paths) == 2


def test_files_that_are_not_the_parts_of_one_run(items: str, quantizer: Path, tmp_path: Path) -> None:
    output = publish_corpus(items, quantizer, tmp_path / "out", num_shards=3).path
    names = [Path(path).name for path in CodesFiles.open(str(output)).paths]
    assert names == [f"part-0000{i}-of-00003.parquet" for i in range(3)]
    (output / "codes" / names[0]).rename(output / "codes" / "part-00000-of-00002.parquet")
    with pytest.raises(
        sid.ArtifactError, match=r"out/codes: its 3 files are not the parts of one run; encode"
    ):
        CodesFiles.open(str(output))
    with pytest.raises(sid.ArtifactError, match="not the parts of one run"):
        encode_corpus(items, quantizer, tmp_path / "next", previous=output)
