"""Towers refuse what cannot be put together, and lend no ID to an item of which nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from models.sequence_worlds import CONTENT, COUNTS, NUM_ITEMS

import semid_tf as sid


def test_another_merge_is_refused() -> None:
    with pytest.raises(sid.ConfigError, match="merge must be concatenated or summed, got sum"):
        sid.ItemTower([sid.IdToken(NUM_ITEMS, 2)], merge="sum")


def test_neighbours_need_content_to_be_alike_by() -> None:
    with pytest.raises(
        sid.ConfigError, match="neighbours must be 0 without a ContentToken to compare, got 5"
    ):
        sid.ItemTower([sid.IdToken(NUM_ITEMS, 2)], neighbours=5)


def test_an_item_without_content_borrows_no_id() -> None:
    content = CONTENT.copy()
    content[0] = 0.0  # of the item that training never saw
    ids = sid.IdToken(NUM_ITEMS, 2, seed=8)
    ids.build(None)
    ids.set_counts(COUNTS)
    dense = sid.ContentToken.of(content, sid.DenseToken(4, seed=1))
    tower = sid.ItemTower([dense, ids], neighbours=3)
    new = np.stack([content[0], CONTENT[0]])
    tower(tf.range(NUM_ITEMS + 1))
    borrowed = tower.of_content(tf.constant(new)).numpy()[:, 4:]
    assert not borrowed[0].any() and borrowed[1].all()
    tower.borrow_ids()
    assert not tower(tf.constant([1])).numpy().any()
