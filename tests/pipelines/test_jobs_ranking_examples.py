"""Ranking examples against `semid_tf.ranking_examples` and against plain Python."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tf_keras
from small_catalogue import codes_by_item, events, item_ids, publish_codes, write_events
from small_quantizer import CODES, LEVELS

import semid_tf as sid
from pipelines.example_files import read_ranking_examples, training_batches
from pipelines.ranking_examples import main, make_ranking_examples

HISTORY = 4
Example = tuple[str, tuple[str, ...], str, float]


@pytest.fixture(scope="module")
def codes(quantizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_codes(quantizer, tmp_path_factory.mktemp("catalogue"))


def rows_of(folder: Path, history_length: int = HISTORY) -> list[dict[str, Any]]:
    batches = read_ranking_examples(folder, LEVELS, history_length, batch_size=64).as_numpy_iterator()
    return [
        {name: values[i] for name, values in batch.items()}
        for batch in batches
        for i in range(len(batch["label"]))
    ]


def key(row: dict[str, Any]) -> Example:
    history = tuple(name.decode() for name in row["history_item_ids"] if name)
    return row["user_id"].decode(), history, row["item_id"].decode(), float(row["label"])


def of_library(pattern: str) -> Counter[Example]:
    """All examples that `semid_tf.ranking_examples` makes of the same files."""
    names = np.array(item_ids(), object)
    interactions, _ = sid.drop_unknown(sid.read_interactions(pattern), names)
    config = sid.DataConfig(
        "complete_journey", history_length=HISTORY, max_train_positives=0, max_test_positives=0
    )
    splits = sid.ranking_examples(names, interactions, config)
    users = list(dict.fromkeys(interactions.user_ids))
    return Counter(
        (users[user], tuple(names[item - 1] for item in history if item), names[item[0] - 1], float(label[0]))
        for part in (splits.train, splits.validation, splits.test)
        for user, history, item, label in zip(
            part.users, part.history, part.candidates, part.labels, strict=True
        )
    )


def test_examples_are_those_of_the_library(codes: Path, tmp_path: Path) -> None:
    interactions = events(600)
    pattern = write_events(interactions, tmp_path / "events")
    make_ranking_examples(str(codes), pattern, tmp_path / "out", HISTORY, num_shards=3)
    found = rows_of(tmp_path / "out")
    assert Counter(map(key, found)) == of_library(pattern)
    assert {len(key(row)[1]) for row in found} == set(range(HISTORY + 1))
    assert len(list((tmp_path / "out" / "examples").iterdir())) == 3
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    unknown = interactions.item_ids.tolist().count("unknown")
    assert report == {"input": 600, "rejected": 0, "unknown": unknown, "examples": 600 - unknown}
    artifact = sid.open_artifact(tmp_path / "out", "ranking_examples")
    artifact.require_parent(sid.open_artifact(codes, "codes"))


def test_histories_end_before_their_event_and_carry_their_codes(codes: Path, tmp_path: Path) -> None:
    interactions = events(400, seed=5, labels=False)
    pattern = write_events(interactions, tmp_path / "events", files=1)
    make_ranking_examples(str(codes), pattern, tmp_path / "out", history_length=1_000)
    known = codes_by_item()
    moments: dict[str, list[tuple[int, int, str]]] = {}
    for user, item, time, position in zip(
        interactions.user_ids,
        interactions.item_ids,
        interactions.timestamps,
        interactions.positions,
        strict=True,
    ):
        if item in known:
            moments.setdefault(user, []).append((time, position, item))
    found = rows_of(tmp_path / "out", history_length=40)
    for row in found:
        user, history, item, label = key(row)
        before = {t for t in range(3) if Counter(history) == earlier(moments[user], row["timestamp"], t)}
        assert before, (user, item)
        assert label == 1
        assert row["codes"].tolist() == known[item]
        padding = 40 - len(history)
        assert (row["history_codes"][:padding] == -1).all()
        assert row["history_codes"][padding:].tolist() == [known[name] for name in history]
    assert sorted(moments) == sorted({key(row)[0] for row in found})


def earlier(seen: list[tuple[int, int, str]], time: int, position: int) -> Counter[str]:
    return Counter(item for t, p, item in seen if (t, p) < (time, position))


def test_parts_are_the_same_on_every_run_and_order_of_files(codes: Path, tmp_path: Path) -> None:
    pattern = write_events(events(300, seed=2), tmp_path / "events", files=3)
    one = make_ranking_examples(str(codes), pattern, tmp_path / "1", HISTORY, num_shards=2)
    two = make_ranking_examples(str(codes), pattern, tmp_path / "2", HISTORY, num_shards=2)
    assert one.fingerprint == two.fingerprint
    times: dict[str, int] = {}
    for row in rows_of(tmp_path / "1"):
        assert times.get(key(row)[0], -1) <= row["timestamp"]
        times[key(row)[0]] = row["timestamp"]


def test_the_records_are_plain_examples(codes: Path, tmp_path: Path) -> None:
    table = pa.table({"user_id": [7, 7], "item_id": ["item-3", "item-4"], "timestamp": [1, 2]})
    pq.write_table(table, tmp_path / "events.parquet")
    make_ranking_examples(str(codes), str(tmp_path / "events.parquet"), tmp_path / "out", HISTORY)
    (path,) = (tmp_path / "out" / "examples").iterdir()
    first, second = (tf.train.Example.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(path)))
    assert "history_item_ids" not in first.features.feature
    features = second.features.feature
    assert features["user_id"].bytes_list.value == [b"7"]
    assert features["history_item_ids"].bytes_list.value == [b"item-3"]
    assert features["history_codes"].int64_list.value == codes_by_item()["item-3"]
    assert features["codes"].int64_list.value == codes_by_item()["item-4"]


def test_shards_without_users_are_empty_files(codes: Path, tmp_path: Path) -> None:
    table = pa.table({"user_id": ["u", "u"], "item_id": ["item-3", "item-4"], "timestamp": [1, 2]})
    pq.write_table(table, tmp_path / "events.parquet")
    make_ranking_examples(str(codes), str(tmp_path / "events.parquet"), tmp_path / "out", HISTORY, 5)
    sizes = [path.stat().st_size for path in (tmp_path / "out" / "examples").iterdir()]
    assert sorted(map(bool, sizes)) == [False] * 4 + [True]
    assert [key(row) for row in rows_of(tmp_path / "out")] == [
        ("u", (), "item-3", 1.0),
        ("u", ("item-3",), "item-4", 1.0),
    ]


def test_items_without_codes_alone_are_a_mistake(
    codes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events_of_nobody = pa.table({"user_id": ["u"], "item_id": ["nobody"], "timestamp": [1]})
    pq.write_table(events_of_nobody, tmp_path / "events.parquet")
    flags = ["--codes", str(codes), "--interactions", str(tmp_path / "events.parquet")]
    assert main([*flags, "--output", str(tmp_path / "out")]) == 2
    said = "events.parquet: no interaction names an item with codes; at least one must.\n"
    assert capsys.readouterr().err.endswith(said)
    assert not (tmp_path / "out").exists()


Trained = tuple[tuple, tuple, float]


def batches_of(folder: Path, seed: int) -> list[Trained]:
    found = []
    for inputs, labels, weights in training_batches(folder, LEVELS, HISTORY, 64, seed).as_numpy_iterator():
        assert inputs["history"].dtype == inputs["candidates"].dtype == np.int32
        assert (weights == 1).all()
        assert labels.shape == weights.shape == (len(labels), 1)
        found += [
            (tuple(history.ravel().tolist()), tuple(candidates.ravel().tolist()), float(label))
            for history, candidates, (label,) in zip(
                inputs["history"], inputs["candidates"], labels, strict=True
            )
        ]
    return found


def test_a_ranker_over_codes_learns_from_the_examples(codes: Path, tmp_path: Path) -> None:
    pattern = write_events(events(600), tmp_path / "events")
    make_ranking_examples(str(codes), pattern, tmp_path / "out", HISTORY, num_shards=3)
    expected = Counter(
        (tuple(row["history_codes"].ravel().tolist()), tuple(row["codes"].tolist()), float(row["label"]))
        for row in rows_of(tmp_path / "out")
    )
    one, again, other = (batches_of(tmp_path / "out", seed) for seed in (1, 1, 2))
    assert Counter(one) == Counter(other) == expected
    assert one == again != other

    embedding = sid.SemanticEmbedding(sid.PrefixTokenizer(sid.CodeSpace(LEVELS, CODES)), dim=4)
    ranker = sid.Ranker(sid.RankerConfig(dim=4, hidden_dims=(4,)), embedding)
    ranker.compile(tf_keras.optimizers.Adam(1e-2))
    before = [weight.numpy() for weight in ranker.trainable_weights]
    batches = training_batches(tmp_path / "out", LEVELS, HISTORY, 64, seed=0)
    history = ranker.fit(batches, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert history[1] < history[0]
    moved = [
        not np.array_equal(weight.numpy(), start)
        for weight, start in zip(ranker.trainable_weights, before, strict=True)
    ]
    assert all(moved)


def test_a_folder_without_examples(tmp_path: Path) -> None:
    with pytest.raises(sid.DataError, match=r"has no examples; give an output of pipelines\.ranking_"):
        training_batches(tmp_path, LEVELS, HISTORY, 64, seed=0)


def test_main_says_mistakes_in_one_line(
    codes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = write_events(events(30), tmp_path / "events")
    flags = ["--codes", str(codes), "--interactions", pattern, "--output", str(tmp_path / "out")]
    assert main([*flags, "--history_length", "0"]) == 2
    assert capsys.readouterr().err == "error: history_length must be at least 1, got 0.\n"
    assert main([*flags[:2], "--interactions", str(tmp_path / "no"), *flags[4:]]) == 2
    assert capsys.readouterr().err.endswith("no file matches; give the path or pattern of item files.\n")
    assert main(flags) == 0
    assert " examples\n" in capsys.readouterr().out
    assert main(flags) == 2
    assert "out exists and is never overwritten" in capsys.readouterr().err
