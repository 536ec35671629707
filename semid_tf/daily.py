"""Training day by day, as in production: learn from a day, rank the next (Singh et al. 2024, sec. 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from semid_tf.config import RankerConfig
from semid_tf.data import Examples
from semid_tf.errors import ConfigError, DataError
from semid_tf.evaluation import auc
from semid_tf.layers import UnifiedEmbedding
from semid_tf.models import Ranker, TwoViews
from semid_tf.training import score_examples, train_ranker, train_with_own_parts

DAY = 86_400_000_000  # microseconds, which dates, timestamps and floats are read as


class DayFigures(NamedTuple):
    """What a ranker that has learned up to one day does on the next.

    Attributes:
        day: the number of the day that it learned from last, from 1.
        examples: it learned from on that day.
        auc: on the next day.
        auc_cold: over candidates whose item was never met before that day; nan without any.
        cold_items: met first on the next day.
    """

    day: int
    examples: int
    auc: float
    auc_cold: float
    cold_items: int


def cut_into_days(examples: Examples, num_days: int, period: int = DAY) -> list[Examples]:
    """Examples by day; a day without any is left out.

    Args:
        examples: in time order, with timestamps.
        num_days: at most so many days, the first ones.
        period: length of a day in the unit of the timestamps; days begin at its multiples, by default at
            midnight UTC.

    Raises:
        ConfigError: there would be fewer than two days.
        DataError: the examples have no timestamps.
    """
    if examples.timestamps is None:
        raise DataError("the examples have no timestamps; prepare the data anew, into another output.")
    if period < 1:
        raise ConfigError(f"period must be at least 1, got {period}.")
    numbers = examples.timestamps // period
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))
    if min(len(starts), num_days) < 2:
        raise ConfigError(
            f"days must be at least 2, got {num_days}; the {len(examples)} examples lie in {len(starts)} of "
            f"{period}, which is in the unit of their timestamps."
        )
    bounds = [*starts, len(examples)][: num_days + 1]
    return [examples.take(slice(first, past)) for first, past in pairwise(bounds)]


def train_by_day(
    ranker: Ranker, days: Sequence[Examples], item_counts: np.ndarray, config: RankerConfig
) -> Iterator[DayFigures]:
    """Goes on training a ranker in place, each day from the weights of the day before.

    An item has its own part, where the ranker has such, from the day on which it was met: that day trains
    it. Until then it ranks as with what items share, which is trained on as well.

    Args:
        ranker: trained before, or new.
        days: examples in time order.
        item_counts: int [num_items], how often each item was met before the first day.
        config: epochs, batch size and learning rate of each day.

    Yields:
        Figures of each day but the last, when it is done.

    Raises:
        DataError: the ranker knows another number of items, or an example cannot be used.
    """
    _require_known(ranker, days, item_counts)
    counts = item_counts.copy()
    # Own parts may only learn on top of what is shared.
    train = train_with_own_parts if isinstance(ranker.attention, TwoViews) else train_ranker
    for number, (today, tomorrow) in enumerate(pairwise(days), start=1):
        counts += met_in(today, len(counts))
        _tell_counts(ranker, counts)
        train(f"day {number}", ranker, today, config)
        yield _figures(number, len(today), ranker, tomorrow, counts)


def _require_known(ranker: Ranker, days: Sequence[Examples], item_counts: np.ndarray) -> None:
    known = ranker.item_embedding.num_items
    if len(item_counts) != known:
        raise DataError(
            f"the ranker knows {known} items, item_counts has {len(item_counts)}; see extended_ranker."
        )
    for day in days:
        day.check(known, [task.kind for task in ranker.tasks])


def met_in(examples: Examples, num_items: int) -> np.ndarray:
    """How often each item was a positive: int64 [num_items]."""
    positive = _by_task(examples, examples.labels > 0).any(axis=-1)
    positives = examples.candidates[positive & (examples.weights > 0)]
    return np.bincount(positives, minlength=num_items + 1)[1:]


def _by_task(examples: Examples, labels: np.ndarray) -> np.ndarray:
    """What is known of each label, [n, c, num_tasks]."""
    return labels.reshape(*examples.candidates.shape, -1)


def _tell_counts(ranker: Ranker, counts: np.ndarray) -> None:
    """Before a day is learned from, so that it trains the own parts of the items first met on it."""
    catalogue = ranker.item_embedding
    if isinstance(catalogue.embedding, UnifiedEmbedding):
        features = catalogue.features.numpy()[1:]
        features[:, -1] = counts
        catalogue.set_features(features)


def _figures(number: int, learned: int, ranker: Ranker, tomorrow: Examples, counts: np.ndarray) -> DayFigures:
    scores, labels = score_examples(ranker, tomorrow), _by_task(tomorrow, tomorrow.labels)[..., 0]
    used = (tomorrow.weights > 0) & np.isfinite(labels)
    cold = used & (counts[tomorrow.candidates - 1] == 0)
    new = np.count_nonzero((met_in(tomorrow, len(counts)) > 0) & (counts == 0))
    everywhere, among_new = (auc(labels[chosen], scores[chosen]) for chosen in (used, cold))
    return DayFigures(number, learned, everywhere, among_new, int(new))
