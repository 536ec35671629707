"""Coarse pieces left out while a ranker trains."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras

import semid_tf as sid
from semid_tf.tokenization import PiecesAndCodes
from semid_tf.training import CoarseDropout

SPACE = sid.CodeSpace(3, 8)
CONFIG = sid.RankerConfig(dim=4, hidden_dims=(4,), epochs=2, batch_size=8)


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    """Codes of sixty items; many share a Semantic ID."""
    return np.random.default_rng(0).integers(0, 3, (60, 3), np.int32)


@pytest.fixture(scope="module")
def tokenizer(codes: np.ndarray) -> PiecesAndCodes:
    """So many rows that most items have a coarse piece."""
    return PiecesAndCodes(sid.train_sentencepiece(codes, np.full(60, 9), SPACE, 60))


@pytest.fixture(scope="module")
def examples() -> sid.Examples:
    """Enough for 55 steps in each of two epochs."""
    random, n = np.random.default_rng(1), 440
    labels = np.tile(np.float32([1, 0]), (n, 1))
    history, candidates = random.integers(0, 61, (n, 4), np.int32), random.integers(1, 61, (n, 2), np.int32)
    return sid.Examples(np.arange(n, dtype=np.int32), history, candidates, labels, np.ones_like(labels))


class Watch(tf_keras.callbacks.Callback):
    """Notes the features that each step trains on."""

    def __init__(self, embedding: sid.CatalogueEmbedding) -> None:
        super().__init__()
        self.embedding, self.seen = embedding, []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.seen.append(self.embedding.features.numpy())


@pytest.fixture(scope="module", params=[0.0, 0.5, 1.0])
def watched(
    request: pytest.FixtureRequest, codes: np.ndarray, tokenizer: PiecesAndCodes, examples: sid.Examples
) -> tuple[float, sid.Ranker, list[np.ndarray]]:
    """The share, a ranker trained with it, and the features of each step."""
    embedding = sid.CatalogueEmbedding.of(
        tokenizer.encode(codes), sid.PieceEmbedding(tokenizer.num_rows, CONFIG.dim)
    )
    watch = Watch(embedding)
    dropout = CoarseDropout(embedding, tokenizer, codes, request.param, seed=0)
    return request.param, sid.fit_ranker("fit", embedding, examples, CONFIG, [dropout, watch]), watch.seen


Watched = tuple[float, sid.Ranker, list[np.ndarray]]


def test_nothing_is_left_out_at_the_end(
    watched: Watched, codes: np.ndarray, tokenizer: PiecesAndCodes
) -> None:
    _, ranker, _ = watched
    expected = np.concatenate([np.zeros((1, 6), np.int32), tokenizer.encode(codes)])
    np.testing.assert_array_equal(ranker.item_embedding.features, expected)


def test_a_share_of_the_semantic_ids_goes_without(
    watched: Watched, codes: np.ndarray, tokenizer: PiecesAndCodes
) -> None:
    share, _, seen = watched
    assert len(seen) == 110
    coarse, single = tokenizer.encode(codes), tokenizer.encode_codes(codes)
    left_out = []
    for features in seen[::50]:
        has_all, has_codes = ((features[1:] == of).all(axis=1) for of in (coarse, single))
        assert (has_all | has_codes).all()
        by_id = {tuple(row): bool(alone) for row, alone in zip(codes, has_codes & ~has_all, strict=True)}
        # Items of one Semantic ID are treated alike.
        assert [by_id[tuple(row)] for row in codes] == (has_codes & ~has_all).tolist()
        left_out.append(np.mean(list(by_id.values())))
        assert not features[0].any()
    distinct = np.unique(codes, axis=0)
    with_coarse = (tokenizer.encode(distinct) != tokenizer.encode_codes(distinct)).any(axis=1).mean()
    assert np.mean(left_out) == pytest.approx(share * with_coarse, abs=0.25)
    assert (share in (0, 1)) == (len(set(left_out)) == 1)


def test_the_draw_changes_every_fifty_steps(watched: Watched) -> None:
    share, _, seen = watched
    changes = [step for step in range(1, 110) if (seen[step] != seen[step - 1]).any()]
    assert changes == ([50, 100] if share == 0.5 else [])


def test_one_seed_one_ranker(codes: np.ndarray, tokenizer: PiecesAndCodes, examples: sid.Examples) -> None:
    def fit(seed: int) -> list[np.ndarray]:
        pieces = sid.PieceEmbedding(tokenizer.num_rows, CONFIG.dim)
        embedding = sid.CatalogueEmbedding.of(tokenizer.encode(codes), pieces)
        dropout = CoarseDropout(embedding, tokenizer, codes, 0.5, seed)
        return sid.fit_ranker("fit", embedding, examples, CONFIG, [dropout]).get_weights()

    first, second, other = fit(0), fit(0), fit(1)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
