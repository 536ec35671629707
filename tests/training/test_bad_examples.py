"""What cannot be learned from is refused by name, place and value; what is only unusual works."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import semid_tf as sid

SPACE = sid.CodeSpace(2, 4)
CODES = np.array([[0, 1], [2, 3], [1, 1]], np.int32)
CONFIG = sid.RankerConfig(dim=4, hidden_dims=(4,), epochs=1)
GOOD = sid.Examples(
    np.zeros(2, np.int32),
    np.array([[0, 1], [0, 0]], np.int32),
    np.array([[2, 3], [3, 1]], np.int32),
    np.array([[1, 0], [0, 1]], np.float32),
    np.ones((2, 2), np.float32),
)


def embedding() -> sid.CatalogueEmbedding:
    """Three items."""
    tokenizer = sid.NgramTokenizer(SPACE)
    return sid.CatalogueEmbedding.of(tokenizer.encode(CODES), sid.PieceEmbedding(tokenizer.num_rows, 4))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("labels", 0.5, r"labels\[1, 0\] is 0\.5; it must be 0 or 1\."),
        ("labels", np.nan, r"labels\[1, 0\] is nan; it must be 0 or 1\."),
        ("weights", -1, r"weights\[1, 0\] is -1\.0; it must be at least 0\."),
        ("history", 4, r"history\[1, 0\] is 4; it must be 0 to 3\."),
        ("candidates", -1, r"candidates\[1, 0\] is -1; it must be 0 to 3\."),
    ],
)
def test_wrong_examples_are_named(name: str, value: float, message: str) -> None:
    wrong = getattr(GOOD, name).copy()
    wrong[1, 0] = value
    with pytest.raises(sid.DataError, match=message):
        sid.fit_ranker("fit", embedding(), dataclasses.replace(GOOD, **{name: wrong}), CONFIG)


TASKS = (sid.Task("click"), sid.Task("rating", kind="number"))
RATED = np.float32([[[1, 4.5], [0, np.nan]], [[0, 2], [1, 5]]])


@pytest.mark.parametrize(
    ("labels", "tasks", "message"),
    [
        (RATED, TASKS[:1], r"labels have the shape \[2, 2, 2\]; .* ask for \[2, 2\]"),
        (GOOD.labels, TASKS, r"labels have the shape \[2, 2\]; .* ask for \[2, 2, 2\]"),
        (RATED * 2, TASKS, r"task 0: labels\[0, 0\] is 2\.0; it must be 0 or 1\."),
        (RATED * np.float32([1, np.inf]), TASKS, r"task 1: labels\[0, 0\] is inf; it must be finite\."),
        (GOOD.labels * np.nan, TASKS[1:], r"labels\[0, 0\] is nan; it must be finite\."),
    ],
)
def test_wrong_labels_of_tasks_are_named(labels: np.ndarray, tasks: tuple, message: str) -> None:
    with pytest.raises(sid.DataError, match=message):
        sid.fit_ranker("fit", embedding(), dataclasses.replace(GOOD, labels=labels), CONFIG, tasks=tasks)


def test_a_context_must_be_there_for_every_example() -> None:
    context = sid.ContextFeatures(["age"], {}, dim=3)
    with pytest.raises(sid.DataError, match="the ranker takes a context, but the examples have none"):
        sid.fit_ranker("fit", embedding(), GOOD, CONFIG, context=context)
    with pytest.raises(sid.DataError, match="the ranker takes a context, but the examples have none"):
        sid.score_examples(sid.Ranker(CONFIG, embedding(), context=context), GOOD)
    short = dataclasses.replace(GOOD, context={"age": np.float32([30])})
    with pytest.raises(sid.DataError, match="context 'age' has 1 rows for 2 examples; each needs one"):
        sid.fit_ranker("fit", embedding(), short, CONFIG, context=context)


def test_unknown_items_and_an_empty_history_are_padding() -> None:
    unknown = dataclasses.replace(GOOD, candidates=np.zeros((2, 2), np.int32), history=GOOD.history * 0)
    ranker = sid.fit_ranker("fit", embedding(), GOOD, CONFIG)
    scores = sid.score_examples(ranker, unknown)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) == 1


def test_codes_of_another_code_space_are_told() -> None:
    lookup = sid.SentencePieceLookup(sid.NgramTokenizer(SPACE))
    with pytest.raises(sid.CodesError, match="codes have 3 levels, the tokenizer's have 2"):
        lookup(tf.zeros((5, 3), tf.int32))
    with pytest.raises(sid.CodesError, match=r"codes\[0, 1\] is 4; level 1 has codes 0 to 3\."):
        sid.NgramTokenizer(SPACE).encode(np.array([[0, 4]]))


def test_a_user_of_ten_thousand_events() -> None:
    times = np.arange(10_010)
    users = np.where(times < 10_000, "busy", "other").astype(object)
    items = np.array(["a", "b", "c"], object)
    table = pa.table({"user_id": users, "item_id": items[times % 3], "timestamp": times})
    settings = sid.DataConfig(items="i", interactions="e", history_length=5)
    splits = sid.ranking_examples(items, sid.interactions_from_table(table), settings)
    last = splits.train.history[-1]
    assert (last > 0).all()
    np.testing.assert_array_equal(np.diff(last) % 3, 1)  # the latest five, in order
    ranker = sid.Ranker(CONFIG, embedding())
    whole = tf.constant(1 + times[None, :10_000] % 3, tf.int32)
    scores = ranker({"history": whole, "candidates": tf.constant([[1, 2]])})
    assert np.isfinite(scores).all()
