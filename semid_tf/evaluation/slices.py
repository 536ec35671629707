"""AUC over all, warm and cold items."""

from __future__ import annotations

import numpy as np

from semid_tf.config import EvaluationConfig
from semid_tf.data import Splits
from semid_tf.evaluation.auc import bootstrap_auc


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
    users = np.broadcast_to(test.users[:, None], used.shape)
    figures: dict[str, float] = {}
    for name, chosen in {"auc": used, "auc_warm": used & ~cold, "auc_cold": cold}.items():
        found = bootstrap_auc(
            test.labels[chosen],
            scores[chosen],
            users[chosen],
            config.bootstrap_samples,
            config.confidence,
            config.seed,
        )
        figures |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return figures
