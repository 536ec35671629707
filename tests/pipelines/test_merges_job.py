"""Merges learned in Beam are those of the same rounds in memory, published as a tokenizer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_catalogue import codes_by_item, events, item_ids, publish_codes, vectors, write_events
from small_quantizer import CODES, FINGERPRINT, LEVELS

import semid_tf as sid
from pipelines.encode import publish_corpus
from pipelines.merges import main
from pipelines.pieces import Tokenizers, load_tokenizer

SPACE = sid.CodeSpace(LEVELS, CODES)
EVENTS = events(500)


@pytest.fixture(scope="module")
def codes(quantizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_codes(quantizer, tmp_path_factory.mktemp("catalogue"))


@pytest.fixture(scope="module")
def output(codes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty merges in three rounds."""
    folder = tmp_path_factory.mktemp("merges")
    assert main(flags(codes, write_events(EVENTS, folder), folder / "out")) == 0
    return folder / "out"


def flags(codes: Path, interactions: str, output: Path, num_merges: int = 30) -> list[str]:
    named = {"codes": codes, "interactions": interactions, "output": output, "num-merges": num_merges}
    return [text for name, value in named.items() for text in (f"--{name}", str(value))] + ["--rounds", "3"]


def met() -> tuple[np.ndarray, np.ndarray]:
    """Semantic IDs of the events and their counts."""
    known = codes_by_item()
    counts = Counter(tuple(known[name]) for name in EVENTS.item_ids if name in known)
    return np.array(list(counts)), np.array(list(counts.values()))


def expected() -> sid.SentencePieceTokenizer:
    merges = sid.learn_merges(*met(), SPACE, 30, 10)
    assert len(merges) == 30
    return sid.tokenizer_of_merges(merges, SPACE)


def model_of(folder: Path) -> bytes:
    tokenizer = load_tokenizer(folder, SPACE)
    assert isinstance(tokenizer, sid.SentencePieceTokenizer)
    return tokenizer.model


def test_beam_learns_what_is_learned_in_memory(output: Path) -> None:
    assert model_of(output) == expected().model
    names = sorted(path.name for path in output.iterdir())
    assert names == ["COMPLETED", "manifest.json", "sentencepiece.model"]


def test_the_tokenizer_is_one_of_these_codes(output: Path, codes: Path, quantizer: Path) -> None:
    tokenizer = sid.open_artifact(output, "tokenizer")
    for folder, kind in ((codes, "codes"), (quantizer, "quantizer")):
        tokenizer.require_parent(sid.open_artifact(folder, kind))
    assert Tokenizers.of([f"merged={output}"], SPACE, FINGERPRINT).columns == ["piece_ids_merged"]


def test_figures_are_those_of_the_vocabulary(output: Path) -> None:
    figures, tokenizer = sid.open_artifact(output, "tokenizer").manifest.metrics, expected()
    codes, counts = met()
    fewest_first = np.argsort((tokenizer.encode(codes) > 0).sum(axis=1), kind="stable")
    asked = 30 + 2 + SPACE.num_codes
    report = sid.vocabulary_report(tokenizer, asked, codes[fewest_first], counts[fewest_first])
    assert report.rows == asked
    for name, value in report._asdict().items():
        assert figures[name] == pytest.approx(value), name
    assert (figures["input"], figures["semantic_ids"]) == (500, len(codes))
    assert figures["counted"] == 500 - figures["unknown"] == counts.sum()


def test_ids_that_are_integers_everywhere_are_met(quantizer: Path, tmp_path: Path) -> None:
    number_of = {name: number for number, name in enumerate(item_ids())}
    items = pa.table({"item_id": list(number_of.values()), "embedding": vectors().tolist()})
    pq.write_table(items, tmp_path / "items.parquet")
    codes = publish_corpus(str(tmp_path / "items.parquet"), quantizer, tmp_path / "codes").path
    columns = {"user_id": EVENTS.user_ids, "timestamp": EVENTS.timestamps}
    columns["item_id"] = [number_of.get(name, 999) for name in EVENTS.item_ids]
    pq.write_table(pa.table(columns), tmp_path / "events.parquet")
    assert main(flags(codes, str(tmp_path / "events.parquet"), tmp_path / "out")) == 0
    assert model_of(tmp_path / "out") == expected().model


def test_mistakes_are_one_line(
    codes: Path, output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(interactions: str, output: Path, num_merges: int = 30) -> str:
        assert main(flags(codes, interactions, output, num_merges)) == 2
        return capsys.readouterr().err

    good, fresh = write_events(EVENTS, tmp_path), tmp_path / "out"
    assert "must be at least 1, got 0" in said(good, fresh, 0)
    assert "no file matches" in said(str(tmp_path / "none"), fresh)
    nobody = {"user_id": ["u"], "item_id": ["nobody"], "timestamp": [1]}
    pq.write_table(pa.table(nobody), tmp_path / "nobody.parquet")
    message = "error: no interaction meets an item with codes; at least one must.\n"
    assert said(str(tmp_path / "nobody.parquet"), fresh) == message
    assert not fresh.exists()
    before = (output / "sentencepiece.model").read_bytes()
    assert "out exists and is never overwritten" in said(good, output, 5)
    assert (output / "sentencepiece.model").read_bytes() == before
