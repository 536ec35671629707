"""Day by day: what is cold when, and that a day's ranker is the one of the day before, trained on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import semid_tf as sid
from semid_tf.daily import DAY, cut_into_days, met_in, train_by_day
from semid_tf.evaluation import auc

CONFIG = sid.RankerConfig(dim=4, hidden_dims=(4,), dropout=0.0, epochs=1, batch_size=16)
ITEMS = 9


def examples(positives: list[int]) -> sid.Examples:
    """One positive each, beside item 1."""
    n = len(positives)
    candidates = np.stack([positives, np.ones(n)], axis=1).astype(np.int32)
    labels = np.tile(np.float32([1, 0]), (n, 1))
    return sid.Examples(
        np.arange(n, dtype=np.int32), np.full((n, 2), 1, np.int32), candidates, labels, np.ones_like(labels)
    )


def ranker(half_seen: float = 1.0) -> sid.Ranker:
    """Items share one piece and have a row each of their own."""
    layer = sid.UnifiedEmbedding(
        sid.PieceEmbedding(2, 4), sid.PieceEmbedding(ITEMS + 1, 4), half_seen=half_seen
    )
    rows = np.arange(1, ITEMS + 1)
    features = sid.unified_features(np.ones((ITEMS, 1)), rows, np.zeros(ITEMS))
    return sid.Ranker(CONFIG, sid.CatalogueEmbedding.of(features, layer))


def at(times: list[int]) -> sid.Examples:
    """Examples of these moments, told apart by their candidates."""
    return dataclasses.replace(examples(list(range(2, 2 + len(times)))), timestamps=np.array(times))


def test_a_day_is_a_day_of_utc_whatever_it_holds() -> None:
    week = at([5 * DAY, 5 * DAY, 6 * DAY - 1, 6 * DAY, 8 * DAY + 7, 8 * DAY + 7, 9 * DAY])
    days = cut_into_days(week, 10)
    assert [day.candidates[:, 0].tolist() for day in days] == [[2, 3, 4], [5], [6, 7], [8]]
    assert [len(day) for day in cut_into_days(week, 2)] == [3, 1]
    assert [len(day) for day in cut_into_days(at([0, 59, 60, 61]), 7, period=60)] == [2, 2]


def test_days_that_cannot_be_cut_are_told() -> None:
    with pytest.raises(sid.ConfigError, match=f"at least 2, got 7; the 2 examples lie in 1 of {DAY}, which"):
        cut_into_days(at([100, 200]), 7)
    with pytest.raises(sid.ConfigError, match="days must be at least 2, got 1"):
        cut_into_days(at([0, DAY]), 1)
    with pytest.raises(sid.ConfigError, match="period must be at least 1, got 0"):
        cut_into_days(at([0, DAY]), 2, period=0)
    with pytest.raises(sid.DataError, match="the examples have no timestamps; prepare the data anew"):
        cut_into_days(examples([2, 3]), 2)


def test_an_item_learns_its_own_part_on_the_day_it_is_first_met() -> None:
    model = ranker()
    before = model.item_embedding.embedding.own.table.numpy()
    next(train_by_day(model, [examples([2] * 40), examples([2])], np.array([9, *[0] * (ITEMS - 1)]), CONFIG))
    moved = (model.item_embedding.embedding.own.table.numpy() != before).any(axis=1)
    assert moved.tolist() == [False, True, True] + [False] * (ITEMS - 2)


def test_items_never_met_rank_as_by_shared_parts_trained_alone() -> None:
    """After any number of days."""
    days = [examples([2] * 40), examples([3] * 40), examples([4] * 40)]
    counts, pieces = np.array([50, *[0] * (ITEMS - 1)]), np.arange(ITEMS)[:, None] % 4 + 1

    def unigram() -> sid.Ranker:
        return sid.Ranker(CONFIG, sid.CatalogueEmbedding.of(pieces, sid.PieceEmbedding(5, 4)))

    alone = unigram()
    grown = sid.with_own_parts(unigram(), np.arange(1, ITEMS + 1)[:, None], ITEMS + 1, counts, half_seen=1.0)
    never = dataclasses.replace(examples([5, 6, 7]), candidates=np.array([[5, 9], [6, 8], [7, 5]], np.int32))
    before = sid.score_examples(alone, never)
    for model in (alone, grown):
        list(train_by_day(model, days, counts, CONFIG))
    after = sid.score_examples(alone, never)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(sid.score_examples(grown, never), after, rtol=1e-4, atol=1e-5)
    assert grown.item_embedding.embedding.own.table.numpy()[[2, 3]].any(axis=1).all()


def test_days_of_another_catalogue_are_refused() -> None:
    days = [examples([2]), examples([3])]
    with pytest.raises(sid.DataError, match="the ranker knows 9 items, item_counts has 8"):
        next(train_by_day(ranker(), days, np.zeros(8, int), CONFIG))
    with pytest.raises(sid.DataError, match=r"candidates\[0, 0\] is 10; it must be 0 to 9"):
        next(train_by_day(ranker(), [days[0], examples([10])], np.zeros(ITEMS, int), CONFIG))


def test_of_several_tasks_the_first_is_what_is_judged() -> None:
    tasks = (sid.Task("click"), sid.Task("rating", kind="number"))
    day = examples([2, 3, 3])
    rated = np.stack([day.labels, 5 * day.labels], axis=-1)
    rated[2, 0] = [np.nan, 4]
    days = [dataclasses.replace(day, labels=rated)] * 2
    items = sid.CatalogueEmbedding.of(np.arange(1, 10)[:, None], sid.PieceEmbedding(10, 4))
    model = sid.Ranker(CONFIG, items, tasks=tasks)
    (found,) = train_by_day(model, days, np.zeros(ITEMS, int), CONFIG)
    scores, used = sid.score_examples(model, days[1]), np.isfinite(rated[..., 0])
    assert found.auc == auc(rated[..., 0][used], scores[used])
    assert met_in(days[0], 4).tolist() == [0, 1, 2, 0]


def test_items_are_cold_until_the_day_they_are_met() -> None:
    days = [examples([2, 2, 3]), examples([3, 4, 4]), examples([4, 5, 6])]
    model, counts = ranker(), np.array([7, *[0] * (ITEMS - 1)])
    figures = list(train_by_day(model, days, counts, CONFIG))
    assert [(day.day, day.examples, day.cold_items) for day in figures] == [(1, 3, 1), (2, 3, 2)]
    assert model.item_embedding.features.numpy()[1:, -1].tolist() == [7, 2, 2, 2, 0, 0, 0, 0, 0]
    assert counts.tolist() == [7, *[0] * (ITEMS - 1)], "what was given stays"
    # Cold candidates are positives only: there is no AUC among them.
    assert np.isnan([day.auc_cold for day in figures]).all()


def test_what_has_no_weight_was_not_met() -> None:
    day = dataclasses.replace(examples([2, 3]), weights=np.float32([[0, 1], [1, 1]]))
    assert met_in(day, 4).tolist() == [0, 0, 1, 0]


def test_training_goes_on_from_the_day_before() -> None:
    days = [examples([2] * 40), examples([2] * 40), examples([2] * 40)]
    model = ranker()
    warm = list(train_by_day(model, days, np.full(ITEMS, 50), dataclasses.replace(CONFIG, epochs=15)))
    assert warm[-1].auc == 1.0
    scores = sid.score_examples(model, days[2])
    assert warm[-1].auc == auc(days[2].labels.ravel(), scores.ravel())
    once = ranker()
    sid.train_ranker("both days at once", once, days[0], dataclasses.replace(CONFIG, epochs=15))
    first = sid.score_examples(once, days[2])
    # Two days have taught more than one.
    assert (scores[:, 0] - scores[:, 1]).mean() > (first[:, 0] - first[:, 1]).mean()
