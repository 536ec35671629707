"""Merges learned in Beam are those of the same rounds in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import semid_tf as sid
from pipelines.merges import main
from pipelines.pieces import load_tokenizer

SPACE = sid.CodeSpace(3, 8)


def world(folder: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Codes and counts of items, written as Parquet; options that name the files. Some items share codes."""
    random = np.random.default_rng(0)
    codes, counts = random.integers(0, 8, (200, 3)), random.integers(0, 30, 200)
    ids = np.array([f"item-{row}" for row in range(200)])
    pq.write_table(pa.table({"item_id": ids, "codes": list(codes)}), folder / "codes.parquet")
    events = random.permutation(np.repeat(ids, counts))
    pq.write_table(pa.table({"item_id": events}), folder / "events.parquet")
    options = ["--codes", str(folder / "codes.parquet"), "--interactions", str(folder / "events.parquet")]
    options += ["--num-levels", "3", "--codebook-size", "8", "--output", str(folder / "out")]
    return codes, counts, options


@pytest.mark.parametrize(("num_merges", "rounds"), [(30, 3), (5, 5)])
def test_beam_learns_what_is_learned_in_memory(tmp_path: Path, num_merges: int, rounds: int) -> None:
    codes, counts, options = world(tmp_path)
    assert main([*options, "--num-merges", str(num_merges), "--rounds", str(rounds)]) == 0
    expected = sid.learn_merges(codes, counts, SPACE, num_merges, num_merges // rounds)
    assert len(expected) == num_merges
    tokenizer = load_tokenizer(tmp_path / "out", SPACE)
    assert isinstance(tokenizer, sid.SentencePieceTokenizer)
    assert tokenizer.model == sid.tokenizer_of_merges(expected, SPACE).model
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "COMPLETED",
        "manifest.json",
        "sentencepiece.model",
    ]


def test_a_tokenizer_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    options = [*world(tmp_path)[2], "--num-merges", "4", "--rounds", "2"]
    assert main(options) == 0
    before = (tmp_path / "out" / "sentencepiece.model").read_bytes()
    assert main([*options, "--num-merges", "9"]) == 2
    assert "out exists and is never overwritten" in capsys.readouterr().err
    assert (tmp_path / "out" / "sentencepiece.model").read_bytes() == before


def test_a_mistake_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([*world(tmp_path)[2], "--num-merges", "0"]) == 2
    assert "must be at least 1, got 0" in capsys.readouterr().err
