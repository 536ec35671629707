"""Training day by day, as in production: learn from a day, rank the next (Singh et al. 2024, sec. 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from semid_tf.config import RankerConfig
from semid_tf.data import Examples
from semid_tf.errors import ConfigError
from semid_tf.evaluation import auc
from semid_tf.layers import UnifiedEmbedding
from semid_tf.models import Ranker
from semid_tf.training import score_examples, train_ranker


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


def cut_into_days(examples: Examples, num_days: int) -> list[Examples]:
    """Examples in time order, cut into parts of equally many.

    Raises:
        ConfigError: there would be fewer than two days, or an empty one.
    """
    if not 2 <= num_days <= len(examples):
        raise ConfigError(f"days must lie between 2 and the {len(examples)} examples, got {num_days}.")
    bounds = np.linspace(0, len(examples), num_days + 1).astype(int)
    return [examples.take(slice(first, past)) for first, past in pairwise(bounds)]


def train_by_day(
    ranker: Ranker, days: Sequence[Examples], item_counts: np.ndarray, config: RankerConfig
) -> Iterator[DayFigures]:
    """Goes on training a ranker in place, each day from the weights of the day before.

    Args:
        ranker: trained before, or new.
        days: examples in time order.
        item_counts: int [num_items], how often each item was met before the first day.
        config: epochs, batch size and learning rate of each day.

    Yields:
        Figures of each day but the last, when it is done.
    """
    counts = item_counts.copy()
    for number, (today, tomorrow) in enumerate(pairwise(days), start=1):
        train_ranker(f"day {number}", ranker, today, config)
        counts += met_in(today, len(counts))
        _tell_counts(ranker, counts)
        yield _figures(number, len(today), ranker, tomorrow, counts)


def met_in(examples: Examples, num_items: int) -> np.ndarray:
    """How often each item was a positive: int64 [num_items]."""
    positives = examples.candidates[(examples.labels == 1) & (examples.weights > 0)]
    return np.bincount(positives, minlength=num_items + 1)[1:]


def _tell_counts(ranker: Ranker, counts: np.ndarray) -> None:
    """From the day on which an item was met it has a part of its own."""
    catalogue = ranker.item_embedding
    if isinstance(catalogue.embedding, UnifiedEmbedding):
        features = catalogue.features.numpy()[1:]
        features[:, -1] = counts
        catalogue.set_features(features)


def _figures(number: int, learned: int, ranker: Ranker, tomorrow: Examples, counts: np.ndarray) -> DayFigures:
    scores, used = score_examples(ranker, tomorrow), tomorrow.weights > 0
    cold = used & (counts[tomorrow.candidates - 1] == 0)
    new = np.count_nonzero((met_in(tomorrow, len(counts)) > 0) & (counts == 0))
    everywhere, among_new = (auc(tomorrow.labels[chosen], scores[chosen]) for chosen in (used, cold))
    return DayFigures(number, learned, everywhere, among_new, int(new))
