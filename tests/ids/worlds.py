"""Small catalogues in which many items share their codes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

import semid_tf as sid

SIZE = 5


class World(NamedTuple):
    """Items, the order of their candidates, and which of them came first."""

    items: sid.ItemCodes
    candidates: np.ndarray
    early: np.ndarray


@st.composite
def worlds(draw: st.DrawFn, max_items: int = 24) -> World:
    """Up to `max_items` items, codes [n, 2] in [0, 3) x [0, 5), and k of 5 candidates, the own code first."""
    names = draw(st.lists(st.text("aäB1🧀", min_size=1, max_size=3), unique=True, max_size=max_items))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    width = draw(st.integers(1, SIZE))
    candidates = np.array([random.permutation(SIZE) for _ in names]).reshape(-1, SIZE)[:, :width]
    codes = np.stack([random.integers(0, 3, len(names)), candidates[:, 0]], axis=1).astype(np.int32)
    early = random.random(len(names)) < 0.5
    return World(items_of(names, codes), candidates.astype(np.int32), early)


def items_of(names: list[str], codes: object) -> sid.ItemCodes:
    """Items by their names."""
    return sid.ItemCodes(np.array(names, object), np.asarray(codes, np.int32))


def picked(items: sid.ItemCodes, rows: np.ndarray) -> sid.ItemCodes:
    """Some rows, in an order of their own."""
    return sid.ItemCodes(items.item_ids[rows], items.codes[rows], items.quantizer)


def by_id(items: sid.ItemCodes) -> dict[str, tuple[int, ...]]:
    """Codes of each item, whatever its row."""
    return {item_id: tuple(row) for item_id, row in zip(items.item_ids, items.codes.tolist(), strict=True)}
