"""A catalogue that grew: what was known stays as it was, new items have vectors at once."""

from __future__ import annotations

import numpy as np
import pytest

import semid_tf as sid

CONFIG = sid.RankerConfig(dim=4, hidden_dims=(4,), epochs=1)
PIECES = np.array([[1, 4], [2, 5], [3, 4]], np.int32)
GROWN = np.concatenate([PIECES, [[1, 5], [3, 6]]])


def examples(items: int) -> sid.Examples:
    """All items as candidates of one user."""
    candidates = np.arange(1, items + 1, dtype=np.int32)[None, :]
    labels = (candidates % 2).astype(np.float32)
    return sid.Examples(np.zeros(1, np.int32), np.int32([[2, 1]]), candidates, labels, np.ones_like(labels))


def ranker(attention: sid.History | None = None) -> sid.Ranker:
    """Over three items, with weights that show."""
    made = sid.Ranker(CONFIG, sid.CatalogueEmbedding.of(PIECES, sid.PieceEmbedding(7, 4)), attention)
    random = np.random.default_rng(0)
    for weight in made.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    return made


@pytest.mark.parametrize("attention", [None, sid.HistoryTransformer(3)], ids=["likeness", "transformer"])
def test_known_items_rank_as_before_and_new_ones_by_their_pieces(attention: sid.History | None) -> None:
    known = ranker(attention)
    found = sid.score_examples(sid.extended_ranker(known, GROWN), examples(5))[0]
    np.testing.assert_allclose(found[:3], sid.score_examples(known, examples(3))[0], rtol=1e-5)
    # An item that the ranker knows, given the pieces of the new one, ranks as it does.
    known.item_embedding.set_features(np.stack([PIECES[0], PIECES[1], GROWN[4]]))
    assert found[4] == pytest.approx(sid.score_examples(known, examples(3))[0, 2], rel=1e-4)


def test_what_grew_is_trained_on() -> None:
    grown = sid.extended_ranker(ranker(), GROWN)
    before = sid.score_examples(grown, examples(5))
    sid.train_ranker("on", grown, examples(5), CONFIG)
    assert (sid.score_examples(grown, examples(5)) != before).any()


def test_items_with_own_parts_may_be_told_other_counts() -> None:
    own = sid.with_own_parts(ranker(), np.array([[1], [2], [3]]), 6, np.array([4, 4, 0]), half_seen=1.0)
    rows, counts = np.arange(1, 6)[:, None], np.array([5, 4, 1, 0, 0])
    grown = sid.extended_ranker(own, sid.unified_features(GROWN, rows, counts))
    assert grown.item_embedding.features.numpy()[1:, -1].tolist() == counts.tolist()
    found = sid.score_examples(grown, examples(5))[0]
    np.testing.assert_allclose(found[:3], sid.score_examples(own, examples(3))[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (GROWN[:2], r"knows 3 items of \[2\] features, the catalogue has 2 of \[2\]"),
        (GROWN[:, :1], r"knows 3 items of \[2\] features, the catalogue has 5 of \[1\]"),
        (GROWN[[0, 2, 1, 3]], "row 1 of the catalogue is not the item that the ranker knows there"),
    ],
)
def test_another_catalogue_is_refused(features: np.ndarray, message: str) -> None:
    with pytest.raises(sid.ProvenanceError, match=message):
        sid.extended_ranker(ranker(), features)
