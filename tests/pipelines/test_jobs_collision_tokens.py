"""The job gives what the library gives, in any order, and goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_catalogue import ITEMS, codes_by_item, item_ids, publish_codes, publish_codes_of, vectors
from small_quantizer import CODES, LEVELS

import semid_tf as sid
from pipelines import ranking_examples, statistics
from pipelines.codes_files import CodesFiles
from pipelines.collision_tokens import main
from pipelines.encode import main as encode

IDS = np.array(item_ids(), object)


def tokens(codes: Path, output: Path, *flags: str) -> tuple[sid.ItemCodes, dict[str, Any]]:
    assert main(["--codes", str(codes), "--output", str(output), "--num-tokens=64", *flags]) == 0
    return sid.ItemCodes.load(output), json.loads((output / "report.json").read_text())


def by_item(items: sid.ItemCodes) -> dict[str, list[int]]:
    return dict(zip(items.item_ids.tolist(), items.codes.tolist(), strict=True))


def by_library(items: np.ndarray, codes: np.ndarray, before: sid.ItemCodes | None = None) -> sid.ItemCodes:
    return sid.add_collision_tokens(sid.ItemCodes(items, codes), 64, before)


@pytest.mark.parametrize("shards", [1, 4])
def test_tokens_are_those_of_the_library(shards: int, quantizer: Path, tmp_path: Path) -> None:
    codes = publish_codes(quantizer, tmp_path / "catalogue", shards)
    found, report = tokens(codes, tmp_path / "out")
    expected = by_library(IDS, np.array(list(codes_by_item().values())))
    assert by_item(found) == by_item(expected)
    assert report == {"kept": 0, "new": ITEMS, "outdated": 0, "retired": 0}
    assert found.codes[:, -1].max() > 0
    assert found.quantizer == sid.ItemCodes.load(codes).quantizer != ""
    texts = pq.read_table(tmp_path / "out" / "codes")["semantic_id"].to_pylist()
    assert texts == sid.format_semantic_ids(found.codes)
    assert len(set(texts)) == ITEMS


def test_a_catalogue_that_changes_keeps_what_was_given(quantizer: Path, tmp_path: Path) -> None:
    everything, first = vectors(), np.arange(0, ITEMS, 2)
    monday, _ = tokens(
        publish_codes_of(IDS[first].tolist(), everything[first], quantizer, tmp_path / "monday", 3),
        tmp_path / "tokens-1",
    )
    # Tuesday, in other shards: some are gone, one is another thing now, the other half is new.
    later, changed = np.arange(ITEMS - 1, 9, -1), everything.copy()
    changed[12] *= -1
    tuesday_codes = publish_codes_of(IDS[later].tolist(), changed[later], quantizer, tmp_path / "tuesday", 4)
    tuesday, report = tokens(tuesday_codes, tmp_path / "tokens-2", "--previous", str(tmp_path / "tokens-1"))
    encoded = sid.ItemCodes.load(tuesday_codes)
    assert by_item(tuesday) == by_item(by_library(encoded.item_ids, encoded.codes, monday))
    assert report == {"kept": 25, "new": 25, "outdated": 1, "retired": 5}
    retired = sid.ItemCodes.load(tmp_path / "tokens-2" / "retired")
    assert by_item(retired) == {name: by_item(monday)[name] for name in IDS[0:10:2]}
    # Wednesday: all are there again. Nothing has moved, and no token was given twice.
    wednesday, report = tokens(
        publish_codes_of(item_ids(), everything, quantizer, tmp_path / "wednesday", 2),
        tmp_path / "tokens-3",
        "--previous",
        str(tmp_path / "tokens-2"),
    )
    given = by_item(monday) | by_item(tuesday)
    assert given.items() <= by_item(wednesday).items()
    assert report == {"kept": 55, "new": 5, "outdated": 0, "retired": 0}
    assert len(np.unique(wednesday.codes, axis=0)) == ITEMS


def test_the_output_is_the_same_again_and_other_jobs_take_it(quantizer: Path, tmp_path: Path) -> None:
    codes = publish_codes(quantizer, tmp_path / "catalogue")
    tokens(codes, tmp_path / "a")
    tokens(codes, tmp_path / "b", "--previous", str(tmp_path / "a"))
    assert (
        CodesFiles.open(str(tmp_path / "a")).fingerprint == CodesFiles.open(str(tmp_path / "b")).fingerprint
    )
    assert CodesFiles.open(str(tmp_path / "a")).space == sid.CodeSpace(LEVELS + 1, (*[CODES] * LEVELS, 64))
    assert statistics.main(["--codes", str(tmp_path / "a"), "--output", str(tmp_path / "s")]) == 0
    figures = json.loads((tmp_path / "s" / "statistics.json").read_text())
    assert figures["unique_rate"] == 1
    events = {"user_id": ["u", "u"], "item_id": IDS[:2].tolist(), "timestamp": [1, 2], "label": [1.0, 1.0]}
    pq.write_table(pa.table(events), tmp_path / "events.parquet")
    flags = ["--codes", str(tmp_path / "a"), "--interactions", str(tmp_path / "events.parquet")]
    assert ranking_examples.main([*flags, "--output", str(tmp_path / "e")]) == 0


def test_mistakes_are_one_line(quantizer: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = publish_codes(quantizer, tmp_path / "catalogue")
    tokens(codes, tmp_path / "a")
    capsys.readouterr()
    flags = ["--codes", str(codes), "--output", str(tmp_path / "out")]

    def said(*more: str) -> str:
        assert main([*flags, *more]) == 2
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    assert " tokens, but there are 1; raise num_tokens" in said("--num_tokens=1")
    assert said("--num_tokens=0") == "error: num_tokens must be at least 1, got 0.\n"
    assert "num_tokens must be at least 64, as in" in said(
        "--num_tokens=8", "--previous", str(tmp_path / "a")
    )
    assert "has no collision tokens over codes of the quantizer of" in said("--previous", str(codes))
    items = str(tmp_path / "catalogue" / "items.parquet")
    again = ["--items", items, "--quantizer", str(quantizer), "--output", str(tmp_path / "out")]
    assert encode([*again, "--previous", str(tmp_path / "a")]) == 2
    assert "has 4 codes an item, 3 are needed" in capsys.readouterr().err
