"""A real user and a brand-new item, to look at what an export does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semid_tf.data import Items, Splits

_SHOWN_CANDIDATES = 500
_LONG_ENOUGH = 5


@dataclass(frozen=True)
class Showcase:
    """One user of the test period and what could be shown to him.

    Attributes:
        user: dense user index.
        history: item rows, latest last, at least one.
        candidates: item rows: the items most interacted with in the training period.
        new_embedding: float32 [embedding_dim]; of an item in no table, midway between the user's two latest.
    """

    user: int
    history: np.ndarray
    candidates: np.ndarray
    new_embedding: np.ndarray


def choose_showcase(items: Items, splits: Splits) -> Showcase:
    """Takes the first user of the test period whose history has five items, or else the longest."""
    lengths = (splits.test.history > 0).sum(axis=1)
    row = int(np.argmax(np.minimum(lengths, _LONG_ENOUGH)))
    history = splits.test.history[row]
    rows = history[history > 0] - 1
    popular = np.argsort(-splits.item_counts, kind="stable")[:_SHOWN_CANDIDATES]
    latest = items.embeddings[rows[-2:]] if len(rows) else items.embeddings[:2]
    return Showcase(int(splits.test.users[row]), rows, popular, latest.mean(axis=0))
