"""An exported sequence model, loaded where nothing of the project can be imported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from models.sequence_worlds import CONTENT, NUM_ITEMS, model

import semid_tf as sid
from serving.check import score_in_bare_process
from serving.recommend import export_recommender

IDS = [f"item-{place}" for place in range(1, NUM_ITEMS + 1)]


def test_a_bare_process_recommends_what_the_model_does(tmp_path: Path) -> None:
    next_items = sid.NextItems.of(model(), NUM_ITEMS).with_new(CONTENT[:1])
    export_recommender(next_items, [*IDS, "new"], tmp_path / "1", k=5)
    history = [["", "item-4", "unheard of", "item-9"], ["new", "item-3", "", ""]]
    found = score_in_bare_process(tmp_path / "1", {"recommend": {"history": history}})["recommend"]
    best = next_items.top(tf.constant([[0, 4, 0, 9], [NUM_ITEMS + 1, 3, 0, 0]]), 5)
    assert found["item_ids"] == [[[*IDS, "new"][item - 1] for item in row] for row in best.items.numpy()]
    np.testing.assert_allclose(found["scores"], best.scores, rtol=1e-5)


def test_each_item_needs_an_id(tmp_path: Path) -> None:
    with pytest.raises(sid.DataError, match="3 item ids for 20 items; each item needs its own"):
        export_recommender(sid.NextItems.of(model(), NUM_ITEMS), IDS[:3], tmp_path / "1")
