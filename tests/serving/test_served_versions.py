"""Version folders count up, are whole, and are made from one chain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import semid_tf as sid
from serving.versions import find_export, publish_export, versions, why_anew

CONFIG = {"method": "unigram"}


def artifact(kind: str, name: str, *parents: sid.Artifact) -> sid.Artifact:
    """A published artifact, as far as its children look at it."""
    origins = {parent.manifest.kind: parent.fingerprint for parent in parents}
    return sid.Artifact(Path(kind), sid.Manifest(kind, name, "inputs", origins))


@pytest.fixture
def chain() -> list[sid.Artifact]:
    """Ranker, tokenizer, codes and quantizer, each made from the next."""
    quantizer = artifact("quantizer", "q1")
    codes = artifact("codes", "c1", quantizer)
    tokenizer = artifact("tokenizer", "t1", codes)
    return [artifact("ranker", "r1", tokenizer), tokenizer, codes, quantizer]


def fill_with(text: str) -> Callable[[Path], dict[str, Any]]:
    """Fills an export with one file."""

    def fill(folder: Path) -> dict[str, Any]:
        (folder / "saved_model.pb").write_text(text)
        return {"bytes": len(text)}

    return fill


def test_versions_count_up_from_one(tmp_path: Path, chain: list[sid.Artifact]) -> None:
    root = tmp_path / "models" / "ranker"
    made = [publish_export(root, fill_with(str(i)), chain, CONFIG) for i in range(3)]
    assert [export.path for export in made] == [root / "1", root / "2", root / "3"]
    assert sorted(path.name for path in root.iterdir()) == ["1", "2", "3"]
    assert (root / "2" / "saved_model.pb").read_text() == "1"


def test_numbers_follow_the_highest_and_pass_over_other_names(
    tmp_path: Path, chain: list[sid.Artifact]
) -> None:
    for name in ("9", "10", "canary", "²", "٣", "007", str(1 << 63), "9" * 20):
        (tmp_path / name).mkdir()
    (tmp_path / "99").write_text("a file is no version")
    assert versions(tmp_path) == [9, 10]
    assert publish_export(tmp_path, fill_with("x"), chain, CONFIG).path == tmp_path / "11"


def test_the_manifest_names_origin_content_and_figures(tmp_path: Path, chain: list[sid.Artifact]) -> None:
    one, same, other = (publish_export(tmp_path, fill_with(text), chain, CONFIG) for text in ("a", "a", "b"))
    manifest = sid.open_artifact(tmp_path / "1", "export").manifest
    assert manifest == one.manifest
    assert manifest.parents == {"ranker": "r1", "tokenizer": "t1", "codes": "c1", "quantizer": "q1"}
    assert (manifest.config, manifest.metrics) == (CONFIG, {"bytes": 1})
    assert set(manifest.versions) == {"semid-tf", "tensorflow", "tensorflow-text"}
    assert one.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize("crash", [RuntimeError("disk"), KeyboardInterrupt()])
def test_a_crash_while_filling_leaves_nothing(
    tmp_path: Path, chain: list[sid.Artifact], crash: BaseException
) -> None:
    def fill(folder: Path) -> dict[str, Any]:
        (folder / "half").write_text("half")
        raise crash

    publish_export(tmp_path, fill_with("whole"), chain, CONFIG)
    with pytest.raises(type(crash)):
        publish_export(tmp_path, fill, chain, CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_foreign_parent_is_refused_before_any_work(tmp_path: Path, chain: list[sid.Artifact]) -> None:
    chain[3] = artifact("quantizer", "q2")
    with pytest.raises(
        sid.ProvenanceError, match="codes was made with quantizer q1, but quantizer is quantizer q2"
    ):
        publish_export(tmp_path / "root", fill_with("x"), chain, CONFIG)
    assert not (tmp_path / "root").exists()


def test_the_newest_export_of_the_same_parents_and_settings_is_found(
    tmp_path: Path, chain: list[sid.Artifact]
) -> None:
    assert find_export(tmp_path, chain, CONFIG) is None
    publish_export(tmp_path, fill_with("a"), chain, CONFIG)
    newest = publish_export(tmp_path, fill_with("b"), chain, CONFIG)
    publish_export(tmp_path, fill_with("c"), chain, {"method": "prefix"})
    assert find_export(tmp_path, chain, CONFIG) == newest
    assert find_export(tmp_path, [artifact("ranker", "r2"), *chain[1:]], CONFIG) is None


def test_an_export_without_a_signature_of_today_is_made_anew_and_says_why(
    tmp_path: Path, chain: list[sid.Artifact]
) -> None:
    today = {"method": "unigram", "signatures": {"rank_item_ids": 1, "rank_examples": 2}}
    assert why_anew(tmp_path, chain, today) == ""
    before: list[tuple[dict[str, Any], str]] = [
        (CONFIG, "has no signatures.rank_item_ids"),
        (today | {"signatures": {"rank_item_ids": 1}}, "has no signatures.rank_examples"),
        (
            today | {"signatures": {"rank_item_ids": 1, "rank_examples": 1}},
            "has signatures.rank_examples 1, not 2",
        ),
        (today | {"method": "prefix"}, "has method prefix, not unigram"),
    ]
    for config, reason in before:
        old = publish_export(tmp_path, fill_with("old"), chain, config)
        assert find_export(tmp_path, chain, today) is None
        assert why_anew(tmp_path, chain, today) == f"{old.path} {reason}"
    new = publish_export(tmp_path, fill_with("new"), chain, today)
    assert find_export(tmp_path, chain, today) == new
    assert why_anew(tmp_path, chain, today) == ""
    grown = [artifact("ranker", "r2", chain[1]), *chain[1:]]
    assert why_anew(tmp_path, grown, today) == f"{new.path} has ranker r1, not r2"
