"""Every method, trained on next to nothing: its tables, its look-ups, and what cold items are promised."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import semid_tf as sid
from semid_tf.methods import (
    ALL_METHODS,
    BASE,
    METHODS,
    ON_TOP,
    Catalogue,
    features_of,
    fit_method,
    lookups,
    num_rows,
)

ITEMS, ROWS = 60, 40
SPACE = sid.CodeSpace(2, 8)
CONFIG = sid.RankerConfig(dim=4, hidden_dims=(4,), epochs=1, batch_size=16, learning_rate=3e-2)
UNIGRAMS = 1 + 2 * 8


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The last ten items were never met."""
    items, random = sid.synthetic_items(ITEMS, 6, seed=0), np.random.default_rng(0)
    codes = random.integers(0, 8, (ITEMS, 2)).astype(np.int32)
    counts = np.where(np.arange(ITEMS) < 50, 1 + np.arange(ITEMS) % 7, 0)
    pieces = sid.PiecesAndCodes(sid.train_sentencepiece(codes, counts, SPACE, ROWS))
    return Catalogue(items.item_ids, items.embeddings, codes, pieces, counts, ROWS, seed=3)


@pytest.fixture(scope="module")
def train() -> sid.Examples:
    """Of the items met."""
    random, n = np.random.default_rng(1), 64
    history, candidates = (random.integers(1, 51, (n, width), np.int32) for width in (3, 2))
    labels = np.tile(np.float32([1, 0]), (n, 1))
    return sid.Examples(np.arange(n, dtype=np.int32), history, candidates, labels, np.ones_like(labels))


@pytest.fixture(scope="module")
def rankers(catalogue: Catalogue, train: sid.Examples) -> dict[str, sid.Ranker]:
    """One of each method."""
    return {name: fit_method(name, catalogue, CONFIG, train) for name in ALL_METHODS}


def cold(examples: sid.Examples) -> sid.Examples:
    """Histories of items met, candidates that were not."""
    return dataclasses.replace(examples, candidates=51 + examples.candidates % 10)


@pytest.mark.parametrize("name", ALL_METHODS)
def test_tables_and_lookups(rankers: dict[str, sid.Ranker], catalogue: Catalogue, name: str) -> None:
    ranker, coarse = rankers[name], catalogue.sentencepiece.num_coarse_rows
    own = {"sentencepiece": coarse, "id_sid": coarse + ROWS - 1}
    sized = dict.fromkeys(("random_hash", "bigram", "prefix"), ROWS) | dict.fromkeys(
        ("dense", "dense_x1.5", "dense_x2"), 0
    )
    sized["sentencepiece_alone"] = catalogue.sentencepiece.num_rows
    assert num_rows(ranker) == sized.get(name, UNIGRAMS + own.get(name, 0))
    features = ranker.item_embedding.features.numpy()[1:]
    np.testing.assert_array_equal(features, features_of(name, catalogue))
    if name in ON_TOP:
        shared, rows = features[:, :2], features[:, 2:-1]
        assert shared.max() < UNIGRAMS and rows.max() < own[name]
        assert (lookups(ranker) == 2 + (rows > 0).sum(axis=1)).all()
        np.testing.assert_array_equal(features[:, -1], catalogue.item_counts)
    elif num_rows(ranker):
        padded = name == "sentencepiece_alone"  # the others need as many rows for each item
        assert features.min() >= 1 - padded and features.max() < num_rows(ranker)
        assert (lookups(ranker) == (features > 0).sum(axis=1)).all() and lookups(ranker).min() >= 1


@pytest.mark.parametrize("name", ON_TOP)
def test_cold_items_rank_as_with_the_unigram(
    rankers: dict[str, sid.Ranker], train: sid.Examples, name: str
) -> None:
    scores = {one: sid.score_examples(rankers[one], cold(train)) for one in (BASE, name)}
    np.testing.assert_array_equal(scores[name], scores[BASE])
    known = [sid.score_examples(rankers[one], train) for one in (BASE, name)]
    assert np.abs(known[0] - known[1]).max() > 1e-3


def test_rows_of_ids_stand_behind_coarse_pieces(rankers: dict[str, sid.Ranker], catalogue: Catalogue) -> None:
    features = features_of("id_sid", catalogue)
    np.testing.assert_array_equal(features[:, :-2], features_of("sentencepiece", catalogue)[:, :-1])
    hashed = features_of("random_hash", catalogue)[:, 0]
    coarse = catalogue.sentencepiece.num_coarse_rows
    np.testing.assert_array_equal(features[:, -2], coarse - 1 + hashed)
    own = rankers["id_sid"].item_embedding.embedding.own.table.numpy()
    assert own[coarse:].any() and own[1:coarse].any()


def test_what_the_command_trains_is_known_and_has_id_sid() -> None:
    assert set(METHODS) <= set(ALL_METHODS) and "id_sid" in METHODS
    assert METHODS.index(BASE) < min(METHODS.index(name) for name in ON_TOP)
