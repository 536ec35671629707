"""Day by day: what is cold when, and that a day's ranker is the one of the day before, trained on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import semid_tf as sid
from semid_tf.daily import cut_into_days, met_in, train_by_day
from semid_tf.evaluation import auc

CONFIG = sid.RankerConfig(dim=4, hidden_dims=(4,), epochs=1, batch_size=16)
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


def test_days_are_in_order_and_hold_everything() -> None:
    days = cut_into_days(examples(list(range(2, 9))), 3)
    assert [len(day) for day in days] == [2, 2, 3]
    assert np.concatenate([day.candidates[:, 0] for day in days]).tolist() == list(range(2, 9))
    with pytest.raises(sid.ConfigError, match="days must lie between 2 and the 7 examples, got 8"):
        cut_into_days(examples(list(range(2, 9))), 8)


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
