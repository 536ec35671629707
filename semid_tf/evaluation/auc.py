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
    return _Ranked(labels, scores).auc(np.ones(len(labels)) if weights is None else weights)


class _Ranked:
    """Examples in the order of their scores, ready for many weightings."""

    def __init__(self, labels: np.ndarray, scores: np.ndarray) -> None:
        self.order = np.argsort(scores, kind="stable")
        ordered = scores[self.order]
        self.positive = labels[self.order] > 0.5
        self.first_of_ties = (
            np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else None
        )

    def auc(self, weights: np.ndarray) -> float:
        if self.first_of_ties is None:
            return float("nan")
        ordered = weights[self.order].astype(np.float64)
        positive = np.add.reduceat(np.where(self.positive, ordered, 0.0), self.first_of_ties)
        negative = np.add.reduceat(np.where(self.positive, 0.0, ordered), self.first_of_ties)
        pairs = positive.sum() * negative.sum()
        below = np.cumsum(negative) - negative / 2
        return float((positive * below).sum() / pairs) if pairs else float("nan")


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
    drawn = [ranked.auc(random.poisson(1.0, len(distinct))[dense]) for _ in range(samples)]
    tail = (1 - confidence) / 2
    finite = [value for value in drawn if np.isfinite(value)]
    low, high = np.quantile(finite, [tail, 1 - tail]) if finite else (float("nan"), float("nan"))
    return Interval(ranked.auc(np.ones(len(labels))), float(low), float(high))
