"""Embeddings in files: each row once in a pass, seeded, in bounded memory, bad rows named by file and row."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import semid_tf as sid
from semid_tf.data import embedding_files, shuffle_buffer
from semid_tf.data.embedding_source import BLOCK_ROWS

DIM = 4
Write = Callable[[Path, list[Any], list[Any], list[Any] | None], None]


def write_parquet(path: Path, ids: list, embeddings: list, weights: list | None) -> None:
    """One file in row groups of 7."""
    columns = {"item_id": ids, "embedding": pa.array(embeddings, pa.list_(pa.float64()))}
    table = pa.table(columns | ({} if weights is None else {"weight": weights}))
    pq.write_table(table, path, row_group_size=7)


def write_tfrecord(path: Path, ids: list, embeddings: list, weights: list | None) -> None:
    """One file."""
    packed = tf.io.TFRecordOptions(compression_type="GZIP" if path.suffix == ".gz" else "")
    with tf.io.TFRecordWriter(str(path), packed) as writer:
        for row, embedding in enumerate(embeddings):
            features = {"embedding": tf.train.Feature(float_list=tf.train.FloatList(value=embedding))}
            if ids[row] is not None:
                name = tf.train.BytesList(value=[ids[row].encode()])
                features["item_id"] = tf.train.Feature(bytes_list=name)
            if weights is not None:
                features["weight"] = tf.train.Feature(float_list=tf.train.FloatList(value=[weights[row]]))
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


FORMATS: dict[str, tuple[type, Write, str]] = {
    "Parquet": (sid.ParquetEmbeddings, write_parquet, ".parquet"),
    "TFRecord": (sid.TFRecordEmbeddings, write_tfrecord, ".tfrecord"),
    "TFRecord, packed": (sid.TFRecordEmbeddings, write_tfrecord, ".tfrecord.gz"),
}


@pytest.fixture(params=FORMATS)
def kind(request: pytest.FixtureRequest) -> tuple[type, Write, str]:
    """Each format in turn."""
    return FORMATS[request.param]


def numbered(count: int, start: int = 0) -> np.ndarray:
    """Embeddings that tell their own row."""
    return np.arange(start, start + count)[:, None] + np.arange(DIM) / 10


def names(count: int) -> list[str]:
    """Names of items."""
    return [f"item {i}" for i in range(count)]


def all_of(passed: Iterator[sid.WeightedRows]) -> sid.WeightedRows:
    """The rows of a pass."""
    return sid.WeightedRows(*(np.concatenate(part) for part in zip(*passed, strict=True)))


def test_a_pass_in_order_gives_every_row_once(kind: tuple[type, Write, str], tmp_path: Path) -> None:
    source_of, write, ending = kind
    weights = np.arange(40) % 4
    for i in range(2):
        rows = slice(20 * i, 20 * i + 20)
        write(tmp_path / f"{i}{ending}", names(20), numbered(20, 20 * i).tolist(), weights[rows].tolist())
    source = source_of(tmp_path)
    for _ in range(2):
        found = all_of(source.in_order())
        np.testing.assert_allclose(found.embeddings, numbered(40)[weights > 0], rtol=1e-6)
        np.testing.assert_array_equal(found.weights, weights[weights > 0])
        assert (found.embeddings.dtype, found.weights.dtype) == (np.float32, np.float32)
    assert source.embedding_dim == DIM


def test_without_weights_all_weigh_one(kind: tuple[type, Write, str], tmp_path: Path) -> None:
    source_of, write, ending = kind
    write(tmp_path / f"a{ending}", names(9), numbered(9).tolist(), None)
    assert all_of(source_of(tmp_path / f"a{ending}").in_order()).weights.tolist() == [1.0] * 9


def test_a_shuffled_pass_is_another_order_of_the_same_rows(
    kind: tuple[type, Write, str], tmp_path: Path
) -> None:
    source_of, write, ending = kind
    for i in range(4):
        write(tmp_path / f"{i}{ending}", names(25), numbered(25, 25 * i).tolist(), [1.0 + i] * 25)
    source = source_of(str(tmp_path / f"*{ending}"), buffer_rows=32)
    first, again, other = (list(source.shuffled(16, (0, epoch))) for epoch in (0, 0, 1))
    assert [len(batch.weights) for batch in first] == [16] * 6 + [4]
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.embeddings, two.embeddings)
    order, of_other = (all_of(batches).embeddings[:, 0] for batches in (first, other))
    assert sorted(order) == sorted(of_other) == list(range(100))
    assert (order != of_other).mean() > 0.8
    np.testing.assert_array_equal(all_of(first).weights, 1 + order // 25)


def test_the_order_of_files_is_shuffled(kind: tuple[type, Write, str], tmp_path: Path) -> None:
    source_of, write, ending = kind
    for i in range(4):
        write(tmp_path / f"{i}{ending}", names(25), numbered(25, 25 * i).tolist(), None)
    source = source_of(str(tmp_path / f"*{ending}"), buffer_rows=16)
    starts = {int(next(source.shuffled(16, (seed,))).embeddings[0, 0]) // 25 for seed in range(20)}
    assert starts == {0, 1, 2, 3}


def test_the_shuffle_is_uniform_when_the_buffer_holds_all() -> None:
    """Each row comes to each place equally often: 2,000 shuffles of 6 rows, 333 +- 5 standard deviations."""
    places = np.zeros((6, 6))
    rows = sid.WeightedRows(np.arange(6, dtype=np.float32)[:, None], np.ones(6, np.float32))
    random = np.random.default_rng(0)
    for _ in range(2000):
        buffer = shuffle_buffer.ShuffleBuffer(6, 1, random)
        order = all_of(shuffle_buffer.shuffled_batches(iter([rows]), 2, buffer)).embeddings[:, 0]
        places[np.arange(6), order.astype(int)] += 1
    assert np.abs(places - 2000 / 6).max() < 5 * np.sqrt(2000 * 5 / 36)


@pytest.mark.parametrize("buffer_rows", [64, 1000])
def test_no_more_rows_wait_than_the_buffer_and_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buffer_rows: int
) -> None:
    monkeypatch.setattr(embedding_files, "BLOCK_ROWS", 50)
    write_tfrecord(tmp_path / "a.tfrecord", names(3000), numbered(3000).tolist(), None)
    source = sid.TFRecordEmbeddings(tmp_path, buffer_rows)
    given, most = 0, 0
    rows_of, seen = embedding_files._rows_of, [0]

    def counted(table: Any, dim: int | None) -> sid.WeightedRows:
        rows = rows_of(table, dim)
        seen[0] += len(rows.weights)
        return rows

    assert source.embedding_dim == DIM
    monkeypatch.setattr(embedding_files, "_rows_of", counted)
    for batch in source.shuffled(64, (0,)):
        most = max(most, seen[0] - given)
        given += len(batch.weights)
    assert given == 3000
    assert buffer_rows <= most <= buffer_rows + 50 + 64


# A pass over the embeddings of a folder, after one over a single row group: its rows, and by how many
# MB this process grew meanwhile.
PASS = """
import os, sys
import semid_tf as sid

def resident_mb():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

few, source = (sid.ParquetEmbeddings(folder, buffer_rows=8192) for folder in sys.argv[1:])
assert sum(len(batch.weights) for batch in few.shuffled(1024, (0,))) == 20_000
assert source.embedding_dim == 256
before, most, count = resident_mb(), 0.0, 0
for batch in source.shuffled(1024, (0,)):
    count += len(batch.weights)
    most = max(most, resident_mb())
print(count, most - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_large_file_is_never_in_memory(tmp_path: Path) -> None:
    """In a process of its own: what other tests hold and free would be counted too."""
    block = np.random.default_rng(0).normal(size=(20_000, 256)).astype(np.float32)
    schema = pa.schema([("item_id", pa.string()), ("embedding", pa.list_(pa.float32(), 256))])
    few, many = tmp_path / "few", tmp_path / "many"
    few.mkdir()
    many.mkdir()
    with pq.ParquetWriter(many / "a.parquet", schema, compression="none") as writer:
        embeddings = pa.FixedSizeListArray.from_arrays(block.reshape(-1), 256)
        table = pa.table({"item_id": names(20_000), "embedding": embeddings}).cast(schema)
        for _ in range(20):
            writer.write_table(table, row_group_size=20_000)
    pq.write_table(table, few / "a.parquet", compression="none")
    assert (many / "a.parquet").stat().st_size > 400e6
    command = [sys.executable, "-c", PASS, str(few), str(many)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    count, grown = done.stdout.split()
    assert int(count) == 400_000
    assert float(grown) < 60


def bad(row: int, value: Any) -> list:
    """Twenty embeddings, one of them wrong."""
    rows = numbered(20).tolist()
    rows[row] = value
    return rows


BAD = [
    (
        bad(13, [1, np.nan, 1, 1]),
        None,
        None,
        "row 13: embedding of item 'item 13' is nan in float32 at position 1",
    ),
    (
        bad(13, [1, 1, 1]),
        None,
        None,
        "row 13: embedding of item 'item 13' has length 3; most have 4, and all",
    ),
    (bad(13, []), None, None, "row 13: embedding of item 'item 13' has length 0; most have 4, and all must"),
    (
        bad(3, [1, 1, 1, 1]),
        None,
        [1.0] * 9 + [-1.0] + [1.0] * 10,
        "row 9: weight is -1; it must be finite and",
    ),
    (
        bad(3, [1, 1, 1, 1]),
        None,
        [1.0] * 19 + [np.inf],
        "row 19: weight is inf; it must be finite and not neg",
    ),
    (bad(3, [1, 1, 1, 1]), 8, None, "row 8: item_id is null; give each row one."),
]


@pytest.mark.parametrize(("embeddings", "nameless", "weights", "message"), BAD)
@pytest.mark.parametrize("ending", [".parquet", ".tfrecord"])
def test_a_bad_row_is_named(
    tmp_path: Path, ending: str, embeddings: list, nameless: int | None, weights: list | None, message: str
) -> None:
    source_of, write, _ = FORMATS["Parquet" if ending == ".parquet" else "TFRecord"]
    ids: list[str | None] = [None if i == nameless else name for i, name in enumerate(names(20))]
    write(tmp_path / f"0{ending}", names(20), numbered(20).tolist(), None)
    write(tmp_path / f"1{ending}", ids, embeddings, weights)
    for passes in (lambda s: s.in_order(), lambda s: s.shuffled(4, (0,))):
        with pytest.raises(sid.DataError, match="^" + re.escape(f"{tmp_path}/1{ending}, {message}")):
            all_of(passes(source_of(tmp_path, buffer_rows=8)))


def test_rows_count_from_the_start_of_the_file(tmp_path: Path) -> None:
    count = BLOCK_ROWS + 100
    embeddings = np.zeros((count, DIM), np.float64)
    embeddings[BLOCK_ROWS + 42, 2] = 1e39  # finite in float64 only
    table = pa.table({"item_id": names(count), "embedding": list(embeddings)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=count)
    with pytest.raises(sid.DataError, match=f"a.parquet, row {BLOCK_ROWS + 42}: .* is inf in float32"):
        all_of(sid.ParquetEmbeddings(tmp_path).in_order())


def test_float16_overflow_is_named(tmp_path: Path) -> None:
    embeddings = numbered(20)
    with np.errstate(over="ignore"):
        halves = np.where(np.arange(20)[:, None] == 17, 1e6, embeddings).astype(np.float16)
    table = pa.table({"item_id": names(20), "embedding": list(halves)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=7)
    with pytest.raises(sid.DataError, match=r"a.parquet, row 17: .* is inf in float32 at position 0"):
        all_of(sid.ParquetEmbeddings(tmp_path).in_order())


def test_files_of_different_dimension_are_refused(kind: tuple[type, Write, str], tmp_path: Path) -> None:
    source_of, write, ending = kind
    write(tmp_path / f"0{ending}", names(9), numbered(9).tolist(), None)
    write(tmp_path / f"1{ending}", names(9), numbered(9)[:, :3].tolist(), None)
    message = f"1{ending}, row 0: embedding of item 'item 0' has length 3; rows before have 4, and all must"
    with pytest.raises(sid.DataError, match=re.escape(message)):
        all_of(source_of(tmp_path).in_order())


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"item_id": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(sid.DataError, match=r"a.parquet has no column embedding; it has item_id\."):
        sid.ParquetEmbeddings(tmp_path)


def test_what_is_no_tfrecord_is_said(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "a.tfrecord", names(9), numbered(9).tolist(), None)
    damaged = bytearray((tmp_path / "a.tfrecord").read_bytes())
    damaged[200] ^= 255
    (tmp_path / "a.tfrecord").write_bytes(damaged)
    with pytest.raises(
        sid.DataError, match=r"a.tfrecord cannot be read as TFRecord .*from row 0 on: corrupted"
    ):
        all_of(sid.TFRecordEmbeddings(tmp_path).in_order())
    (tmp_path / "b.tfrecord.gz").write_bytes(gzip.compress(b"no record" * 9))
    with pytest.raises(sid.DataError, match=r"b.tfrecord.gz cannot be read as TFRecord"):
        all_of(sid.TFRecordEmbeddings(tmp_path / "b.tfrecord.gz").in_order())


@pytest.mark.parametrize(
    ("source_of", "message"),
    [
        (sid.ParquetEmbeddings, "holds no .parquet file; give a Parquet file, a pattern or a folder."),
        (sid.TFRecordEmbeddings, "holds no .tfrecord file; give a TFRecord file, a pattern or a folder."),
    ],
)
def test_no_files(tmp_path: Path, source_of: type, message: str) -> None:
    with pytest.raises(sid.DataError, match=re.escape(f"the folder {tmp_path} {message}")):
        source_of(tmp_path)
    with pytest.raises(sid.DataError, match="no file matches"):
        source_of(tmp_path / "*.none")


def test_no_rows_and_small_buffers(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "a.tfrecord", [], [], None)
    with pytest.raises(sid.DataError, match="has no rows of weight above 0"):
        assert sid.TFRecordEmbeddings(tmp_path).embedding_dim
    write_tfrecord(tmp_path / "a.tfrecord", names(9), numbered(9).tolist(), None)
    with pytest.raises(sid.ConfigError, match="buffer_rows is 4, but a batch has 8; raise buffer_rows"):
        next(sid.TFRecordEmbeddings(tmp_path, buffer_rows=4).shuffled(8, (0,)))
