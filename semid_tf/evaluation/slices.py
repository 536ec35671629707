"""AUC over all, warm and cold items, and by popularity."""

from __future__ import annotations

import numpy as np

from semid_tf.config import EvaluationConfig
from semid_tf.data import Splits
from semid_tf.evaluation.auc import Interval, bootstrap_auc

_DECILES = 10


def auc_by_slice(scores: np.ndarray, splits: Splits, config: EvaluationConfig) -> dict[str, float]:
    """AUC of test scores, float32 [n, c], with intervals over resampled users.

    A candidate is cold if its item has no interaction in the training period, warm otherwise. A slice holds
    the positives and the negatives whose candidate belongs to it.

    Returns:
        `auc`, `auc_low`, `auc_high` over all, and the same with `auc_warm`, `auc_cold` in front.
    """
    test = splits.test
    used = test.weights > 0
    cold = (splits.item_counts[test.candidates - 1] == 0) & used
    figures: dict[str, float] = {}
    for name, chosen in {"auc": used, "auc_warm": used & ~cold, "auc_cold": cold}.items():
        found = _auc_of(chosen, scores, splits, config)
        figures |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return figures


def auc_by_decile(scores: np.ndarray, splits: Splits, config: EvaluationConfig) -> list[Interval]:
    """AUC of test scores, float32 [n, c], over tenths of the warm items, the most popular tenth last.

    Popularity is the number of interactions in the training period. A tenth without positives or without
    negatives is nan.
    """
    test = splits.test
    deciles = popularity_deciles(splits.item_counts)[test.candidates - 1]
    used = test.weights > 0
    return [_auc_of(used & (deciles == tenth), scores, splits, config) for tenth in range(_DECILES)]


def popularity_deciles(item_counts: np.ndarray) -> np.ndarray:
    """Tenth of each item among the warm ones, equally many items each: int [n], 0 = rarest; -1 = cold.

    >>> popularity_deciles(np.array([0, 30, 10, 20, 40, 50, 60, 70, 80, 90, 95]))
    array([-1,  2,  0,  1,  3,  4,  5,  6,  7,  8,  9])
    """
    warm = np.flatnonzero(item_counts)
    by_count = warm[np.argsort(item_counts[warm], kind="stable")]
    deciles = np.full(len(item_counts), -1)
    deciles[by_count] = np.arange(len(warm)) * _DECILES // max(len(warm), 1)
    return deciles


def _auc_of(chosen: np.ndarray, scores: np.ndarray, splits: Splits, config: EvaluationConfig) -> Interval:
    """AUC of the chosen candidates, bool [n, c]."""
    test = splits.test
    users = np.broadcast_to(test.users[:, None], chosen.shape)
    return bootstrap_auc(
        test.labels[chosen],
        scores[chosen],
        users[chosen],
        config.bootstrap_samples,
        config.confidence,
        config.seed,
    )
