"""The statistics against plain Python and the library's own figures."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_catalogue import ITEMS, codes_by_item, item_ids, publish_codes, publish_codes_of, vectors
from small_quantizer import CODES, LEVELS, numpy_codes

import semid_tf as sid
from pipelines.statistics import main

SPACE = sid.CodeSpace(LEVELS, CODES)


@pytest.fixture(scope="module")
def codes(quantizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_codes(quantizer, tmp_path_factory.mktemp("catalogue"))


def statistics(output: Path, *flags: str) -> dict[str, Any]:
    assert main(["--output", str(output), *flags]) == 0
    found: dict[str, Any] = json.loads((output / "statistics.json").read_text())
    return found


def test_figures_are_those_of_the_library(codes: Path, tmp_path: Path) -> None:
    found = statistics(tmp_path / "out", "--codes", str(codes))
    table = np.array(list(codes_by_item().values()))
    assert found["items"] == ITEMS
    assert found["code_usage"] == sid.code_usage(table, SPACE)
    assert found["perplexity"] == pytest.approx(sid.perplexity(table, SPACE))
    assert found["unique_rate"] == sid.unique_rate(table)
    assert found["colliding_items"] == round(sid.colliding_rate(table) * ITEMS) > 0
    assert found["drift"] is None
    sid.open_artifact(tmp_path / "out", "statistics").require_parent(sid.open_artifact(codes, "codes"))


def test_collisions_and_largest_groups_by_plain_python(codes: Path, tmp_path: Path) -> None:
    found = statistics(tmp_path / "out", "--codes", str(codes))
    groups: dict[str, list[str]] = {}
    for name, row in codes_by_item().items():
        groups.setdefault("-".join(map(str, row)), []).append(name)
    sizes = Counter(len(names) for names in groups.values())
    assert found["collisions"] == [{"items": size, "semantic_ids": sizes[size]} for size in sorted(sizes)]
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    assert found["largest"] == [
        {"semantic_id": text, "items": len(names), "first": sorted(names)[:5]}
        for text, names in ordered[:100]
    ]


@pytest.mark.parametrize("num_shards", [2, 3])
def test_drift_by_plain_python(num_shards: int, codes: Path, quantizer: Path, tmp_path: Path) -> None:
    later = vectors()[5:].copy()
    later[:10] *= -1
    later[10:14] += 0.3
    names = [*item_ids()[5:], "new-1", "new-2"]
    later = np.concatenate([later, later[:2] * 2])
    now = publish_codes_of(names, later, quantizer, tmp_path / "now", num_shards)
    found = statistics(tmp_path / "out", "--codes", str(now), "--previous", str(codes))["drift"]
    new, old = dict(zip(names, numpy_codes(later).tolist(), strict=True)), codes_by_item()
    kept = [name for name in new if name in old]
    same = [np.mean([new[name][:level] == old[name][:level] for name in kept]) for level in (1, 2, 3)]
    assert (found["before"], found["kept"], found["new"], found["gone"]) == (ITEMS, ITEMS - 5, 2, 5)
    assert found["same_prefix_rate"] == pytest.approx(same)
    assert 0 < same[2] < same[0] < 1


def test_the_same_codes_do_not_drift(codes: Path, tmp_path: Path) -> None:
    found = statistics(tmp_path / "out", "--codes", str(codes), "--previous", str(codes))["drift"]
    assert found == {"before": ITEMS, "kept": ITEMS, "new": 0, "gone": 0, "same_prefix_rate": [1.0] * LEVELS}


def test_mistakes_are_one_line(codes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--codes", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path} is no complete artifact: it has no manifest.json.\n"
    with sid.staging(tmp_path) as folder:
        config = {"num_levels": 2, "codebook_size": 4}
        other = sid.publish(folder, tmp_path / "other", sid.Manifest("codes", "f", "i", config=config)).path
    flags = ["--codes", str(codes), "--output", str(tmp_path / "out")]
    assert main([*flags, "--previous", str(other)]) == 2
    assert "other has codes in CodeSpace(" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
