"""The code corpus against a count in plain Python, and its tokenizer against direct training."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_catalogue import codes_by_item, events, item_ids, publish_codes, write_events
from small_quantizer import CODES, LEVELS

import semid_tf as sid
from pipelines.code_corpus import main, make_code_corpus
from pipelines.encode import encode_corpus
from pipelines.pieces import load_tokenizer
from pipelines.ranking_examples import main as examples_main
from pipelines.ranking_examples import make_ranking_examples

SPACE = sid.CodeSpace(LEVELS, CODES)


@pytest.fixture(scope="module")
def codes(quantizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_codes(quantizer, tmp_path_factory.mktemp("catalogue"))


def lines(folder: Path) -> list[str]:
    return [line for path in sorted((folder / "corpus").iterdir()) for line in path.read_text().splitlines()]


def counts_of(names: list[str]) -> Counter[str]:
    known = codes_by_item()
    return Counter("-".join(map(str, known[name])) for name in names if name in known)


def test_counts_are_those_of_plain_python(codes: Path, tmp_path: Path) -> None:
    interactions = events(500)
    pattern = write_events(interactions, tmp_path / "events")
    artifact = make_code_corpus(str(codes), tmp_path / "out", pattern)
    expected = counts_of(interactions.item_ids.tolist())
    found = [line.split("\t") for line in lines(tmp_path / "out")]
    assert {text: int(count) for text, count in found} == expected
    assert len(found) == len(expected)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    unknown = interactions.item_ids.tolist().count("unknown")
    assert (report["input"], report["rejected"], report["unknown"]) == (500, 0, unknown)
    assert report["counted"] == 500 - unknown > 0 < unknown
    artifact.require_parent(sid.open_artifact(codes, "codes"))


def test_without_interactions_each_item_counts_once(codes: Path, tmp_path: Path) -> None:
    make_code_corpus(str(codes), tmp_path / "out")
    expected = counts_of(item_ids())
    assert max(expected.values()) > 1
    assert dict(line.split("\t") for line in lines(tmp_path / "out")) == {
        t: str(n) for t, n in expected.items()
    }


def test_the_tokenizer_is_that_of_direct_training_and_serves_the_encode_job(
    codes: Path, quantizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interactions = events(800, seed=3)
    pattern = write_events(interactions, tmp_path / "events", files=3)
    flags = [
        "--codes",
        str(codes),
        "--interactions",
        pattern,
        "--output",
        str(tmp_path / "out"),
        "--rows",
        "80",
    ]
    assert main(flags) == 0
    assert capsys.readouterr().out.startswith(f"{len(lines(tmp_path / 'out'))} Semantic IDs, counted ")
    known = codes_by_item()
    met = [name for name in interactions.item_ids if name in known]
    direct = sid.train_sentencepiece(np.array([known[n] for n in met]), np.ones(len(met), int), SPACE, 80)
    loaded = load_tokenizer(tmp_path / "out" / "tokenizer", SPACE)
    assert isinstance(loaded, sid.SentencePieceTokenizer)
    assert loaded.model == direct.model
    tokenizer = sid.open_artifact(tmp_path / "out" / "tokenizer", "tokenizer")
    tokenizer.require_parent(sid.open_artifact(quantizer, "quantizer"))
    counts = Counter(tuple(known[name]) for name in met)
    by_text = sorted(counts, key=lambda codes: "-".join(map(str, codes)))
    report = sid.vocabulary_report(direct, 80, np.array(by_text), np.array([counts[it] for it in by_text]))
    assert tokenizer.manifest.metrics == report._asdict()

    named = [f"sp={tmp_path / 'out' / 'tokenizer'}"]
    encode_corpus(str(codes.parent / "items.parquet"), quantizer, tmp_path / "again", tokenizers=named)
    table = pq.read_table(tmp_path / "again" / "codes")
    pieces = direct.encode(np.array(table["codes"].to_pylist()))
    assert table["piece_ids_sp"].to_pylist() == pieces.tolist()


def test_mistakes_are_one_line(codes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(interactions: object, *flags: str) -> str:
        pq.write_table(pa.table(interactions), tmp_path / "events.parquet")
        base = ["--codes", str(codes), "--interactions", str(tmp_path / "events.parquet")]
        assert main([*base, "--output", str(tmp_path / "out"), *flags]) == 2
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    event = {"user_id": ["u"], "item_id": ["nobody"], "timestamp": [1]}
    assert (
        said(event)
        == f"error: {tmp_path}/events.parquet: none meets an item of {codes}; at least one must.\n"
    )
    assert "has no column timestamp; its columns are user_id, item_id." in said(
        {"user_id": [], "item_id": []}
    )
    good = event | {"item_id": ["item-1"]}
    assert "SentencePiece needs table_rows of at least 50" in said(good, "--rows", "20")
    assert main(["--codes", str(tmp_path / "none"), "--output", str(tmp_path / "out")]) == 2
    assert "none is no complete artifact" in capsys.readouterr().err


def test_columns_of_a_wrong_type(codes: Path, tmp_path: Path) -> None:
    event = {"user_id": ["u"], "item_id": ["item-1"], "timestamp": [1]}
    path = tmp_path / "events.parquet"

    def refused(name: str, value: object) -> str:
        pq.write_table(pa.table(event | {name: [value]}), path)
        with pytest.raises(sid.DataError) as caught:
            make_ranking_examples(str(codes), str(path), tmp_path / "out")
        return str(caught.value).removeprefix(f"{path}: column {name} is ")

    assert refused("timestamp", "noon") == "string; timestamp, date, integer or float is needed."
    assert refused("user_id", 1.5) == "double; string or integer is needed."
    assert refused("label", "yes") == "string; boolean or a number is needed."
    assert refused("position", 0.5) == "double; integer is needed."
    assert not (tmp_path / "out").exists()


def test_a_label_is_read_only_where_it_counts(
    codes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = {"user_id": ["u"], "item_id": ["item-1"], "timestamp": [1]}
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table(event | {"label": [2.0]}), path)
    flags = ["--codes", str(codes), "--interactions", str(path)]
    assert main([*flags, "--output", str(tmp_path / "corpus")]) == 0
    assert examples_main([*flags, "--output", str(tmp_path / "examples")]) == 2
    assert capsys.readouterr().err == f"error: {path}, row 0: label is 2; it must be 0 or 1.\n"
    assert not (tmp_path / "examples").exists()


def test_rows_with_nulls_are_rejected_and_the_others_count(codes: Path, tmp_path: Path) -> None:
    table = pa.table(
        {
            "user_id": ["u", None, "u", "u", ""],
            "item_id": ["item-1", "item-1", None, "item-2", "item-2"],
            "timestamp": [1, 2, 3, None, 5],
        }
    )
    pq.write_table(table, tmp_path / "events.parquet")
    artifact = make_code_corpus(str(codes), tmp_path / "out", str(tmp_path / "events.parquet"))
    assert (artifact.manifest.metrics["input"], artifact.manifest.metrics["rejected"]) == (5, 4)
    assert lines(tmp_path / "out") == ["-".join(map(str, codes_by_item()["item-1"])) + "\t1"]
