"""A small made-up world in which content tells something, for tests and documentation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from semid_tf.data import schema
from semid_tf.data.columns import MICROSECONDS
from semid_tf.data.tables import Interactions, Items, items_from_table

NUM_CATEGORIES = 8
NUM_KINDS = 4
NUM_TASTES = 2
TASTE = 12.0
LATE_SHARE = 0.3
START = 1_600_000_000 * MICROSECONDS
YEAR = 365 * 24 * 3600 * MICROSECONDS


def synthetic_items(num_items: int, dim: int, seed: int) -> Items:
    """Items in a tree: categories of Zipf size, kinds within them, and a little noise of their own.

    Columns are `item_id`, `title`, `category` (int64, 0 to 7), `kind` (int64, 0 to 3 within its category) and
    `embedding`, rows of length 1.

    >>> synthetic_items(3, dim=4, seed=0).item_ids
    array(['item-0', 'item-1', 'item-2'], dtype=object)
    """
    rng = np.random.default_rng([seed, 0])
    sizes = 1 / np.arange(1, NUM_CATEGORIES + 1)
    category = rng.choice(NUM_CATEGORIES, num_items, p=sizes / sizes.sum())
    kind = rng.integers(0, NUM_KINDS, num_items)
    centres = _directions(rng, (NUM_CATEGORIES, dim))
    offsets = _directions(rng, (NUM_CATEGORIES, NUM_KINDS, dim))
    noise = _directions(rng, (num_items, dim))
    vectors = _unit(centres[category] + 0.6 * offsets[category, kind] + 0.3 * noise).astype(np.float32)
    return items_from_table(_item_table(category, kind, vectors), "synthetic items")


def _item_table(category: np.ndarray, kind: np.ndarray, vectors: np.ndarray) -> pa.Table:
    pairs = enumerate(zip(category, kind, strict=True))
    return pa.table(
        {
            schema.ITEM_ID: [f"item-{row}" for row in range(len(category))],
            schema.TITLE: [f"Category {c} · Kind {k} · Item {row}" for row, (c, k) in pairs],
            "category": category,
            "kind": kind,
            schema.EMBEDDING: pa.FixedSizeListArray.from_arrays(
                pa.array(vectors.reshape(-1)), vectors.shape[1]
            ),
        }
    )


def synthetic_interactions(items: Items, num_users: int, events_per_user: int, seed: int) -> Interactions:
    """Events over a year, of users who like what resembles a few items of their own.

    An event takes an item that has appeared already, with a chance in proportion to its popularity (Zipf)
    times exp(taste), taste being the largest cosine to the user's items, scaled. A share of the items appears
    late, at times spread over the second half of the year, so that a test period meets items that training
    never saw.

    Returns:
        num_users * events_per_user interactions, user after user, each user's in time order.
    """
    rng = np.random.default_rng([seed, 1])
    appears, popularity = _appearances(len(items), rng), _zipf(len(items), rng)
    times = np.sort(rng.integers(START, START + YEAR, (num_users, events_per_user)), axis=1)
    rows = np.concatenate([_choices(items, user, appears, popularity, rng) for user in times])
    names = np.array([f"user-{user}" for user in range(num_users)], object)
    return Interactions(np.repeat(names, events_per_user), items.item_ids[rows], times.reshape(-1))


def _choices(
    items: Items, times: np.ndarray, appears: np.ndarray, popularity: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """int64 [events], rows of the items that one user takes (by the Gumbel-max trick)."""
    liked = _unit(items.embeddings[rng.integers(0, len(items), NUM_TASTES)])
    taste = TASTE * (_unit(items.embeddings) @ liked.T).max(axis=1)
    scores = np.log(popularity) + taste + rng.gumbel(size=(len(times), len(items)))
    scores[appears > times[:, None]] = -np.inf
    return scores.argmax(axis=1)


def _appearances(num_items: int, rng: np.random.Generator) -> np.ndarray:
    """int64 [num_items], when each item appears; at least one is there from the start."""
    appears = np.full(num_items, START)
    late = rng.choice(num_items, min(round(LATE_SHARE * num_items), num_items - 1), replace=False)
    appears[late] = rng.integers(START + YEAR // 2, START + YEAR, len(late))
    return appears


def _zipf(num_items: int, rng: np.random.Generator) -> np.ndarray:
    return 1 / rng.permutation(np.arange(1, num_items + 1)) ** 0.8


def _directions(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return _unit(rng.standard_normal(shape))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
