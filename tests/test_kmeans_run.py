"""A run with residual k-means gives the codes of residual k-means fitted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from small_world import write_world

import semid_tf as sid
from semid_tf.chain import Chain


def test_codes_are_those_of_a_fit_by_hand(tmp_path: Path) -> None:
    write_world(tmp_path)
    settings = sid.ResidualKMeansConfig(num_levels=2, codebook_size=8, seed=3)
    data = sid.DataConfig(
        items=str(tmp_path / "items.parquet"), interactions=str(tmp_path / "interactions.parquet")
    )
    config = sid.RunConfig(output=str(tmp_path / "run"), data=data, residual_kmeans=settings)
    by_run = Chain(config, lambda line: None).saved_quantizer
    embeddings = sid.read_items(data.items).embeddings
    by_hand = sid.fit_residual_kmeans(embeddings, config=settings).encode(embeddings).numpy()
    np.testing.assert_array_equal(by_run.encode(embeddings), by_hand)
