"""AUC with bootstrap intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A figure and its bootstrap interval."""

    value: float
    low: float
    high: float


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Probability that a positive scores above a negative, ties counting half; nan without both.

    >>> auc(np.array([0, 1, 1]), np.array([0.1, 0.1, 0.9]))
    0.75

    Args:
        labels: 0 or 1, [n].
        scores: [n].
        weights: not negative, [n]; None = all alike.
    """
    ranked = _Ranked(labels, scores)
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    return ranked.auc(weights[ranked.order])


class _Ranked:
    """Examples in the order of their scores, ready for many weightings."""

    def __init__(self, labels: np.ndarray, scores: np.ndarray) -> None:
        self.order = np.argsort(scores, kind="stable")
        ordered, positive = scores[self.order], labels[self.order] > 0.5
        self.negative = (~positive).astype(np.float64)
        self.positives = np.flatnonzero(positive)
        self.first_of_tie = np.searchsorted(ordered, ordered[positive], side="left")
        self.past_tie = np.searchsorted(ordered, ordered[positive], side="right")

    def auc(self, weights: np.ndarray) -> float:
        """AUC under weights, float64 [n], in the order of the scores."""
        below = np.concatenate([[0.0], np.cumsum(weights * self.negative)])
        beaten = (below[self.first_of_tie] + below[self.past_tie]) / 2
        own = weights[self.positives]
        pairs = own.sum() * below[-1]
        return float(own @ beaten / pairs) if pairs else float("nan")


def bootstrap_auc(
    labels: np.ndarray, scores: np.ndarray, users: np.ndarray, samples: int, confidence: float, seed: int
) -> Interval:
    """AUC and its percentile interval over resampled users.

    Whole users are drawn (Poisson bootstrap: each counts k times, k ~ Poisson(1)), since examples of one
    user depend on each other.

    Args:
        labels: 0 or 1, [n].
        scores: [n].
        users: dense user index of each example, int [n].
        samples: resamples.
        confidence: share of resamples inside the interval.
        seed: fixes the resamples.
    """
    ranked = _Ranked(labels, scores)
    random = np.random.default_rng(seed)
    distinct, dense = np.unique(users, return_inverse=True)
    dense = dense[ranked.order]
    counts = (random.poisson(1.0, len(distinct)).astype(np.float64) for _ in range(samples))
    drawn = [ranked.auc(count[dense]) for count in counts]
    tail = (1 - confidence) / 2
    finite = [value for value in drawn if np.isfinite(value)]
    low, high = np.quantile(finite, [tail, 1 - tail]) if finite else (float("nan"), float("nan"))
    return Interval(ranked.auc(np.ones(len(labels))), float(low), float(high))
