"""A published quantizer's candidates are what relocation asks for: the two together over a catalogue."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import semid_tf as sid


def publish(model: sid.RQVAE | sid.ResidualKMeans, folder: Path) -> sid.SavedQuantizer:
    """A fitted quantizer, published."""

    def fill(staged: Path) -> sid.Made:
        sid.save_quantizer(model, staged)
        return sid.Made(model.fingerprint)

    return sid.load_quantizer(sid.ArtifactStore(folder).make("quantizer", model.config, (), fill).path)


@pytest.fixture(scope="module")
def saved(fitted: sid.RQVAE, tmp_path_factory: pytest.TempPathFactory) -> sid.SavedQuantizer:
    """The fitted quantizer, published."""
    return publish(fitted, tmp_path_factory.mktemp("store"))


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


def test_a_balanced_catalogue_grows_around_what_was_published(
    fitted: sid.RQVAE,
    saved: sid.SavedQuantizer,
    items: sid.ItemCodes,
    catalogue_items: sid.Items,
    tmp_path: Path,
) -> None:
    candidates, distances = saved.measured_candidates(catalogue_items.embeddings, 16)
    gaps = squared_gaps(fitted, catalogue_items.embeddings)
    rows = np.arange(len(items))
    np.testing.assert_allclose(distances, gaps[rows[:, None], candidates], atol=1e-4)
    early = rows % 2 == 0
    first = sid.ItemCodes(items.item_ids[early], items.codes[early], saved.fingerprint)
    balanced = sid.balanced_candidates(first, candidates[early], distances[early])
    sid.relocate(first, balanced).items.save(tmp_path / "published.parquet")
    published = sid.ItemCodes.load(tmp_path / "published.parquet")

    reordered = sid.balanced_candidates(items, candidates, distances, published=published)
    np.testing.assert_array_equal(reordered[early], candidates[early])
    grown = sid.relocate(items, reordered, published=published)
    np.testing.assert_array_equal(grown.items.codes[early], published.codes)
    held = set(map(tuple, published.codes.tolist()))
    placed = list(map(tuple, grown.items.codes[~early & ~grown.unplaced].tolist()))
    assert placed and len(set(placed)) == len(placed) and held.isdisjoint(placed)


def test_the_snippet_of_the_readme_publishes_the_first_time_and_later_on(
    catalogue_items: sid.Items, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = sid.ResidualKMeansConfig(num_levels=2, codebook_size=(16, 64))
    saved = publish(sid.fit_residual_kmeans(catalogue_items.embeddings, config=config), tmp_path)
    readme = (Path(sid.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (snippet,) = (code for code in re.findall(r"```python\n(.*?)```", readme, re.S) if "relocate" in code)
    for count in (1_000, 3_000):
        embeddings = catalogue_items.embeddings[:count]
        names = {"quantizer": saved, "embeddings": embeddings, "codes": saved.encode(embeddings)}
        names |= {"sid": sid, "os": os, "item_ids": catalogue_items.item_ids[:count]}
        exec(snippet, names)
        published = sid.ItemCodes.load("published.parquet")
        np.testing.assert_array_equal(published.item_ids, names["item_ids"])
        np.testing.assert_array_equal(published.codes, names["moved"].items.codes)
        assert len(np.unique(names["unique"].codes, axis=0)) == count
    assert names["moved"].moved[1_000:].any()
