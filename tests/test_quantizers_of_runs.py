"""Quantizers of runs: residual k-means, a beam, a given one on another catalogue."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from small_world import write_world

import semid_tf as sid
from semid_tf.chain import Chain


def data_in(folder: Path) -> sid.DataConfig:
    """The two tables of a folder."""
    return sid.DataConfig(
        items=str(folder / "items.parquet"), interactions=str(folder / "interactions.parquet")
    )


def test_codes_are_those_of_a_fit_by_hand(tmp_path: Path) -> None:
    write_world(tmp_path)
    settings = sid.ResidualKMeansConfig(num_levels=2, codebook_size=8, seed=3)
    data = data_in(tmp_path)
    config = sid.RunConfig(output=str(tmp_path / "run"), data=data, residual_kmeans=settings)
    by_run = Chain(config, lambda line: None).saved_quantizer
    embeddings = sid.read_items(data.items).embeddings
    by_hand = sid.fit_residual_kmeans(embeddings, config=settings).encode(embeddings).numpy()
    np.testing.assert_array_equal(by_run.encode(embeddings), by_hand)


@pytest.mark.parametrize(
    "settings",
    [
        {"residual_kmeans": sid.ResidualKMeansConfig(num_levels=3, codebook_size=8)},
        {"quantizer": sid.RQVAEConfig(num_levels=3, codebook_size=8, latent_dim=8, hidden_dim=8, epochs=1)},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_a_run_saves_its_quantizer_with_a_beam(tmp_path: Path, settings: dict) -> None:
    """Which then leaves less of the items."""
    write_world(tmp_path)
    embeddings, errors = sid.read_items(tmp_path / "items.parquet").embeddings, []
    for beam_width in (1, 4):
        with_it = {part: dataclasses.replace(of, beam_width=beam_width) for part, of in settings.items()}
        config = sid.RunConfig(output=str(tmp_path / "run"), data=data_in(tmp_path), **with_it)
        quantizer = Chain(config, lambda line: None).saved_quantizer
        restored = quantizer.decode(quantizer.encode(embeddings))
        errors.append(np.square(embeddings - restored).sum(axis=1))
    assert errors[1].mean() < errors[0].mean()


def test_a_small_new_catalogue_raises_no_alarm(tmp_path: Path) -> None:
    """Eighty items cannot use 64 codes: a sound quantizer of three thousand leaves a third of them out."""
    items = sid.synthetic_items(3_000, 16, seed=0)
    settings = sid.ResidualKMeansConfig(num_levels=2, codebook_size=64)
    model = sid.fit_residual_kmeans(items.embeddings, config=settings)

    def fill(folder: Path) -> sid.Made:
        sid.save_quantizer(model, folder)
        return sid.Made(model.fingerprint)

    given = sid.ArtifactStore(tmp_path / "store").make("quantizer", settings, (), fill)
    few = sid.items_from_table(items.table.take(np.random.default_rng(0).choice(3_000, 80, replace=False)))
    sid.write_tables(tmp_path, few, sid.synthetic_interactions(few, 20, 10, seed=0))
    config = sid.RunConfig(output=str(tmp_path / "run"), data=data_in(tmp_path))
    quality = Chain(config, lambda line: None, quantizer=str(given.path)).quality()
    assert quality["warnings"] == []
    assert max(quality["codes_used"]) < 0.9 * 64
