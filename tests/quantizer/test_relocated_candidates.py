"""A published quantizer's candidates are what relocation asks for: the two together over a catalogue."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import semid_tf as sid


@pytest.fixture(scope="module")
def saved(fitted: sid.RQVAE, tmp_path_factory: pytest.TempPathFactory) -> sid.SavedQuantizer:
    """The fitted quantizer, published."""

    def fill(folder: Path) -> sid.Made:
        sid.save_quantizer(fitted, folder)
        return sid.Made(fitted.fingerprint)

    store = sid.ArtifactStore(tmp_path_factory.mktemp("store"))
    return sid.load_quantizer(store.make("quantizer", fitted.config, (), fill).path)


@pytest.fixture(scope="module")
def items(saved: sid.SavedQuantizer, catalogue_items: sid.Items) -> sid.ItemCodes:
    """The catalogue with the quantizer's codes, in which many items share theirs."""
    codes = saved.encode(catalogue_items.embeddings)
    return sid.ItemCodes(catalogue_items.item_ids, codes, saved.fingerprint)


def squared_gaps(model: sid.RQVAE, embeddings: np.ndarray) -> np.ndarray:
    """What is left before the last level to each of its codewords, in NumPy: float [n, 16]."""
    quantized = model.quantizer(model.latent(embeddings))
    left, words = quantized.residuals[-1].numpy(), model.quantizer.codebook(2).numpy()
    return np.square(left[:, None] - words).sum(axis=2)


def test_every_item_has_the_nearest_code_with_room(
    fitted: sid.RQVAE, saved: sid.SavedQuantizer, items: sid.ItemCodes, catalogue_items: sid.Items
) -> None:
    candidates = saved.candidates(catalogue_items.embeddings, 16)
    found = sid.relocate(items, candidates)
    codes = found.items.codes
    prefixes = Counter(map(tuple, items.codes[:, :-1].tolist()))
    assert len(np.unique(codes, axis=0)) == sum(min(size, 16) for size in prefixes.values())
    np.testing.assert_array_equal(codes[:, :-1], items.codes[:, :-1])
    np.testing.assert_array_equal(codes[~found.moved], items.codes[~found.moved])
    load = Counter(map(tuple, codes[~found.unplaced].tolist()))
    assert max(load.values()) == 1
    gaps = squared_gaps(fitted, catalogue_items.embeddings)
    for row in np.flatnonzero(found.moved):
        nearer = np.flatnonzero(gaps[row] < gaps[row, codes[row, -1]] - 1e-5)
        assert len(nearer) and all(load[(*codes[row, :-1], code)] for code in nearer)


def test_published_items_stay_when_the_catalogue_grows(
    saved: sid.SavedQuantizer, items: sid.ItemCodes, catalogue_items: sid.Items
) -> None:
    candidates = saved.candidates(catalogue_items.embeddings, 16)
    early = np.arange(len(items)) % 2 == 0
    first = sid.ItemCodes(items.item_ids[early], items.codes[early], saved.fingerprint)
    published = sid.relocate(first, candidates[early]).items
    grown = sid.relocate(items, candidates, published=published)
    np.testing.assert_array_equal(grown.items.codes[early], published.codes)
    assert grown.moved[~early].any()
