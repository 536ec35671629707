"""The programs in docs/sequential.md run as they stand, but for the number of epochs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import semid_tf as sid

GUIDE = Path(__file__).parents[2] / "docs" / "sequential.md"
TRAINING = "sid.SequenceTraining()"
NUM_WARM, NUM_ITEMS, DIM = 300, 302, 8


def write_world(folder: Path) -> None:
    """Items that were met several times each, and two that nobody met."""
    random = np.random.default_rng(0)
    names = [f"item {place}" for place in range(NUM_ITEMS)]
    content = [row.tolist() for row in random.normal(size=(NUM_ITEMS, DIM))]
    items = sid.items_from_table(pa.table({"item_id": names, "embedding": content}))
    met = np.concatenate([random.permutation(NUM_WARM) for _ in range(10)])
    users, times = np.repeat(np.arange(NUM_WARM), 10), np.arange(len(met))
    events = sid.Interactions(
        users.astype(str).astype(object), np.array([names[i] for i in met], object), times
    )
    sid.write_tables(folder, items, events)


def test_its_programs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    program = "\n".join(programs)
    assert program.count(TRAINING) == 1
    write_world(tmp_path)
    monkeypatch.chdir(tmp_path)
    new = np.random.default_rng(1).normal(size=(3, DIM)).astype(np.float32)
    names: dict = {"embeddings_of_new_items": new, "ids_of_new_items": ["new 1", "new 2", "new 3"]}
    exec(program.replace(TRAINING, "sid.SequenceTraining(epochs=2, batch_rows=16)"), names)

    assert len(names["best"].figures) == 2
    for made in (names["model"], names["final"]):
        without = made.tower.tokens[1].counts.numpy()[1:] == 0
        assert np.flatnonzero(without).tolist() == [300, 301]
        assert made.vectors(tf.constant([301, 302]))[:, 64:].numpy().all(), "borrowed"
    assert names["compact"].tower.tokens[0].codes.shape == (NUM_ITEMS + 1, 36)
    np.testing.assert_array_equal(names["next_items"].vectors[-3:], names["final"].of_content(new))
    served = tf.saved_model.load("recommender/1").signatures["recommend"]
    assert served(history=tf.constant([["item 3", "new 2"]]))["item_ids"].shape == (1, 100)
