"""Incremental runs: only what is new is encoded, and the result is that of a full run."""

from __future__ import annotations

import multiprocessing
import random
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from small_quantizer import NearestCodewords, embeddings, publish_quantizer

import semid_tf as sid
from pipelines.content import content_hashes
from pipelines.encode import encode_corpus, publish_corpus
from pipelines.encoding import QuantizerHandler
from pipelines.previous import carried_rows
from pipelines.schema import TIME, UNCHANGED, encoded_schema, labels

Catalogue = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def before() -> Catalogue:
    return {f"item-{i}": row for i, row in enumerate(embeddings(600, seed=3))}


@pytest.fixture(scope="module")
def after(before: Catalogue) -> Catalogue:
    """Ten items less, twenty changed, thirty new; in another order."""
    items = {name: before[name] for name in list(before)[10:]}
    items.update(zip(list(items)[:20], embeddings(20, seed=4), strict=True))
    items.update((f"new-{i}", row) for i, row in enumerate(embeddings(30, seed=5)))
    names = sorted(items, key=lambda name: name[::-1])
    return {name: items[name] for name in names}


def write(items: Catalogue, path: Path, extra: tuple[list[object], ...] = ()) -> str:
    rows = [[name, row.tolist()] for name, row in items.items()] + list(extra)
    vectors = pa.array([row[1] for row in rows], pa.list_(pa.float32()))
    pq.write_table(pa.table({"item_id": [row[0] for row in rows], "embedding": vectors}), path)
    return str(path)


@pytest.fixture(scope="module")
def first(before: Catalogue, quantizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    return publish_corpus(write(before, folder / "i.parquet"), quantizer, folder / "out", num_shards=2).path


def rows(folder: Path) -> pa.Table:
    return pq.read_table(folder / "codes").sort_by("item_id")


def test_a_second_run_equals_a_full_one(
    before: Catalogue,
    after: Catalogue,
    first: Path,
    quantizer: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twice: list[object] = ["item-50", [0.5] * 8]
    items = write(after, tmp_path / "i.parquet", (twice, [None, [0.0] * 8]))
    encode_corpus(items, quantizer, tmp_path / "full", num_shards=3)
    encoded: list[str] = []
    run_inference = QuantizerHandler.run_inference

    def watched(self: QuantizerHandler, batch: pa.Table, *rest: object) -> list[pa.Table]:
        encoded.extend(batch["item_id"].to_pylist())
        return run_inference(self, batch, *rest)

    monkeypatch.setattr(QuantizerHandler, "run_inference", watched)
    report = encode_corpus(items, quantizer, tmp_path / "next", num_shards=3, previous=first)
    changed = {name for name in after if name not in before or (after[name] != before[name]).any()}
    assert set(encoded) == {*changed, "item-50"}
    counts = {name: report[name] for name in ("input", "encoded", "unchanged", "rejected")}
    assert counts == {"input": 622, "encoded": 50, "unchanged": 570, "rejected": 2}
    assert (report["changed"], report["deleted"]) == (20, 10)
    for door in ("codes", "rejected"):
        for part in sorted((tmp_path / "full" / door).iterdir()):
            full, carried = pq.read_table(part), pq.read_table(tmp_path / "next" / door / part.name)
            kept = [name for name in full.column_names if name != "encoded_at"]
            assert carried.select(kept).equals(full.select(kept))


def test_carried_items_keep_the_time_of_their_codes(
    before: Catalogue, first: Path, quantizer: Path, tmp_path: Path
) -> None:
    more = before | {"new": embeddings(1)[0]}
    encode_corpus(write(more, tmp_path / "i.parquet"), quantizer, tmp_path / "next", previous=first)
    (old,) = set(rows(first)["encoded_at"].to_pylist())
    times = dict(
        zip(*(rows(tmp_path / "next")[n].to_pylist() for n in ("item_id", "encoded_at")), strict=True)
    )
    assert times.pop("new") > old
    assert set(times.values()) == {old}


def test_nothing_new(before: Catalogue, first: Path, quantizer: Path, tmp_path: Path) -> None:
    items = write(before, tmp_path / "i.parquet")
    report = encode_corpus(items, quantizer, tmp_path / "next", num_shards=1, previous=first)
    assert (report["encoded"], report["unchanged"], report["deleted"]) == (0, 600, 0)
    assert rows(tmp_path / "next").equals(rows(first))


def carried(keys: list[tuple[int, int]], hashes: list[int]) -> list[str]:
    """Of an earlier run with the items a, b, c, contents 10, 11, 12, and the given hashes."""
    before = pa.table(
        {
            "item_id": ["a", "b", "c"],
            "codes": pa.array([[0, 1], [2, 3], [4, 5]], pa.list_(pa.int32())),
            "encoded_at": pa.array([1, 2, 3], TIME),
            "content": [10, 11, 12],
        }
    )
    columns = [pa.array([key[0] for key in keys], pa.uint64()), pa.array([key[1] for key in keys])]
    count = len(keys)
    now = pa.table([*columns, labels("file", count), pa.array(np.arange(count))], schema=UNCHANGED)
    rows = carried_rows(now, before, np.array(hashes, np.uint64), "f", encoded_schema(2, 16))
    item_ids = rows["item_id"].to_pylist()
    assert rows["codes"].to_pylist() == [{"a": [0, 1], "b": [2, 3], "c": [4, 5]}[item] for item in item_ids]
    assert rows["content"].to_pylist() == [key[1] for key in keys]
    return item_ids


def test_rows_of_an_earlier_run_are_found_by_both_hashes() -> None:
    assert carried([(7, 12), (5, 10)], [5, 6, 7]) == ["c", "a"]
    # The ids a and b have one hash.
    assert carried([(5, 11), (7, 12), (5, 10)], [5, 5, 7]) == ["b", "c", "a"]
    assert carried([], [5, 6, 7]) == []


@pytest.mark.parametrize("key", [(5, 11), (9, 10)], ids=["another content", "another id"])
def test_an_item_taken_for_another_fails_the_job(key: tuple[int, int]) -> None:
    with pytest.raises(sid.DataError, match="an item has the content hash of another one; run without"):
        carried([(6, 11), key], [5, 6, 7])


def test_collision_tokens_stay_under_reordering_and_growth(
    before: Catalogue, after: Catalogue, first: Path, quantizer: Path, tmp_path: Path
) -> None:
    # Two levels of the codes, so that items do collide.
    def items(folder: Path) -> sid.ItemCodes:
        loaded = sid.ItemCodes.load(folder)
        return loaded.with_codes(loaded.codes[:, :2], loaded.quantizer)

    grown = {**{name: before[name] for name in reversed(before)}, **{f"0{n}": v for n, v in after.items()}}
    encode_corpus(
        write(grown, tmp_path / "i.parquet"), quantizer, tmp_path / "next", num_shards=5, previous=first
    )
    published = sid.add_collision_tokens(items(first), 256)
    later = sid.add_collision_tokens(items(tmp_path / "next"), 256, published=published)
    assert published.codes[:, 2].max() > 0
    old = later.rows_of(published.item_ids)
    np.testing.assert_array_equal(later.codes[old], published.codes)
    assert len(np.unique(later.codes, axis=0)) == len(later) == len(grown)


def test_previous_output_of_another_quantizer_or_none(
    before: Catalogue, first: Path, tmp_path: Path, quantizer: Path
) -> None:
    items = write(before, tmp_path / "i.parquet")
    other = publish_quantizer(NearestCodewords(), tmp_path / "other", fingerprint="f" * 16)
    with pytest.raises(sid.ProvenanceError, match=r"quantizer 0123456789abcdef, but .* ffffffffffffffff"):
        encode_corpus(items, other, tmp_path / "out", previous=first)
    with pytest.raises(sid.ArtifactError, match=r"gone is no complete artifact"):
        encode_corpus(items, quantizer, tmp_path / "out", previous=tmp_path / "gone")
    assert not (tmp_path / "out").exists()


def _publish(items: str, quantizer: Path, output: Path, previous: Path) -> None:
    publish_corpus(items, quantizer, output, PipelineOptions([]), 2, previous)


def test_a_job_killed_at_any_moment_leaves_the_previous_output_whole(
    after: Catalogue, first: Path, quantizer: Path, tmp_path: Path
) -> None:
    items, target = write(after, tmp_path / "i.parquet"), tmp_path / "made" / "out"
    content = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["pipelines.encode"])

    def publish(output: Path, seconds: float | None) -> float:
        job = processes.Process(target=_publish, args=(items, quantizer, output, first))
        job.start()
        began = time.monotonic()
        job.join(seconds)
        job.kill()
        job.join()
        return time.monotonic() - began

    longest = publish(target.with_name("not-killed"), None)
    moments = random.Random(8)
    whole = 0
    for attempt in range(10):
        output = target.with_name(f"out-{attempt}")
        publish(output, moments.uniform(0.05, 1) * longest)
        if output.exists():
            whole += 1
            artifact = sid.open_artifact(output, "codes")
            assert artifact.manifest.metrics["input"] == len(after)
            assert (output / "COMPLETED").read_text() == artifact.fingerprint + "\n"
            assert rows(output)["item_id"].to_pylist() == sorted(after)
    assert whole < 10
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == content
    _publish(items, quantizer, target, first)
    assert rows(target)["item_id"].to_pylist() == sorted(after)
    assert not list(target.parent.glob(".staging-*"))


def test_content_tells_ids_and_embeddings_apart() -> None:
    vectors = embeddings(200)
    flipped = vectors * np.where(np.arange(8) < 2, np.float32(-1), np.float32(1))
    swapped = vectors[:, ::-1]
    names = pa.array([f"a{i}" for i in range(200)])
    others = pa.array([f"b{i}" for i in range(200)])
    asked = [(names, vectors), (others, vectors), (names, flipped), (names, swapped)]
    hashes = np.concatenate([content_hashes(*it).to_numpy() for it in asked])
    assert len(np.unique(hashes)) == 800
    again = content_hashes(names[50:60], vectors[50:60].astype(np.float64).astype(np.float32))
    assert again.to_pylist() == hashes[50:60].tolist()
