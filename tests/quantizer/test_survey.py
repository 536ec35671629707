"""The start over a stream: exact moments of all rows, a uniform sample, equal to the start in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import semid_tf as sid
from semid_tf.quantizer.fit import start_rqvae
from semid_tf.quantizer.survey import Reservoir, survey

CONFIG = sid.RQVAEConfig(
    num_levels=2, codebook_size=8, latent_dim=4, hidden_dim=8, epochs=2, batch_size=128, kmeans_iterations=5
)


class Pieces(sid.EmbeddingSource):
    """Arrays that come in pieces of given sizes."""

    def __init__(self, rows: sid.WeightedRows, size: int) -> None:
        self.rows, self.size = rows, size

    @property
    def embedding_dim(self) -> int:
        return self.rows.embeddings.shape[1]

    @property
    def order(self) -> dict[str, Any]:
        return {"size": self.size}

    def in_order(self) -> Iterator[sid.WeightedRows]:
        for i in range(0, len(self.rows.weights), self.size):
            yield sid.WeightedRows(*(part[i : i + self.size] for part in self.rows))

    def shuffled(self, batch_size: int, seed: Sequence[int]) -> Iterator[sid.WeightedRows]:
        raise NotImplementedError


@pytest.fixture(scope="module")
def rows() -> sid.WeightedRows:
    """Twenty thousand correlated rows far from zero."""
    random = np.random.default_rng(0)
    mixing = random.normal(size=(6, 6))
    embeddings = random.normal(size=(20_000, 6)) @ mixing + 1000
    return sid.WeightedRows(embeddings.astype(np.float32), random.integers(1, 9, 20_000).astype(np.float32))


def test_moments_equal_numpy(rows: sid.WeightedRows) -> None:
    found = survey(Pieces(rows, 777), 100, seed=0)
    exact = rows.embeddings.astype(np.float64)
    assert found.num_items == 20_000
    assert found.moments.weight == rows.weights.sum(dtype=np.float64)
    np.testing.assert_allclose(
        found.moments.mean, np.average(exact, axis=0, weights=rows.weights), rtol=1e-13
    )
    covariance = np.cov(exact.T, fweights=rows.weights.astype(int), ddof=0)
    np.testing.assert_allclose(found.moments.covariance, covariance, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("most", [500, 100_000])
def test_the_survey_does_not_depend_on_the_cuts(rows: sid.WeightedRows, most: int) -> None:
    arrays = survey(sid.EmbeddingArrays(*rows), most, seed=3)
    for size in (1999, 8192, 20_000):
        assert survey(Pieces(rows, size), most, seed=3).fingerprint == arrays.fingerprint
    assert survey(Pieces(rows, 1999), most, seed=4).fingerprint != arrays.fingerprint or most > 20_000


def test_the_fingerprint_tells_one_changed_number_and_one_changed_place(rows: sid.WeightedRows) -> None:
    changed = rows.embeddings.copy()
    changed[17_000, 3] += 0.01
    others = [(changed, rows.weights), (rows.embeddings[::-1], rows.weights[::-1])]
    others.append((rows.embeddings, np.where(np.arange(20_000) == 9, rows.weights + 1, rows.weights)))
    prints = [survey(sid.EmbeddingArrays(*other), 500, 0).fingerprint for other in [rows, *others]]
    assert len(set(prints)) == 4


def test_the_sample_is_all_rows_in_order_where_it_holds_them(rows: sid.WeightedRows) -> None:
    sample = survey(Pieces(rows, 777), 20_000, seed=0).sample
    np.testing.assert_array_equal(sample.embeddings, rows.embeddings)
    np.testing.assert_array_equal(sample.weights, rows.weights)


def test_the_sample_is_uniform_over_the_whole_stream() -> None:
    """Each of 50 rows is among 10 in a fifth of 3,000 samples, +- 5 standard deviations; weights stay."""
    times = np.zeros(50)
    for seed in range(3000):
        reservoir = Reservoir(10, seed)
        for start in range(0, 50, 7):
            numbers = np.arange(start, min(start + 7, 50), dtype=np.float32)
            reservoir.add(sid.WeightedRows(numbers[:, None], 2 * numbers))
        sample = reservoir.result()
        assert len(sample.weights) == 10
        np.testing.assert_array_equal(sample.weights, 2 * sample.embeddings[:, 0])
        assert (np.diff(sample.weights) > 0).all()
        times[sample.embeddings[:, 0].astype(int)] += 1
    assert np.abs(times - 600).max() < 5 * np.sqrt(3000 * 0.2 * 0.8)


def write(folder: Path, embeddings: np.ndarray, weights: np.ndarray) -> None:
    """Three Parquet files in row groups of 50."""
    for i, part in enumerate(np.array_split(np.arange(len(weights)), 3)):
        columns = {"item_id": part.astype(str), "embedding": list(embeddings[part]), "weight": weights[part]}
        pq.write_table(pa.table(columns), folder / f"{i}.parquet", row_group_size=50)


def test_the_start_over_files_is_that_in_memory(tmp_path: Path) -> None:
    embeddings = sid.synthetic_items(400, dim=8, seed=1).embeddings
    weights = np.random.default_rng(0).integers(0, 5, 400).astype(np.float32)
    write(tmp_path, embeddings, weights)
    in_memory = start_rqvae(embeddings, weights, CONFIG)
    over_files = start_rqvae(sid.ParquetEmbeddings(tmp_path), None, CONFIG)
    assert over_files.fingerprint == in_memory.fingerprint


def test_the_start_uses_all_rows_for_moments_and_a_sample_for_codebooks() -> None:
    """The first rows lie elsewhere: a start from the first batch would have no code for the rest."""
    random = np.random.default_rng(0)
    first, rest = random.normal(size=(500, 8)), random.normal(size=(4500, 8)) + 20
    embeddings = np.concatenate([first, rest]).astype(np.float32)
    model = start_rqvae(embeddings, None, dataclasses.replace(CONFIG, kmeans_items=400))
    np.testing.assert_allclose(model.mean, embeddings.mean(axis=0, dtype=np.float64), rtol=1e-5)
    assert sid.normalized_mse(embeddings, model(embeddings).numpy()) < 0.05


def test_a_fit_from_files_is_as_good_as_one_in_memory(tmp_path: Path) -> None:
    embeddings = sid.synthetic_items(400, dim=8, seed=1).embeddings
    write(tmp_path, embeddings, np.ones(400))
    from_files = sid.fit_rqvae(sid.ParquetEmbeddings(tmp_path, buffer_rows=128), config=CONFIG)
    in_memory = sid.fit_rqvae(embeddings, config=CONFIG)
    errors = [sid.normalized_mse(embeddings, m(embeddings).numpy()) for m in (from_files, in_memory)]
    assert errors[0] == pytest.approx(errors[1], rel=0.05)


def test_weights_beside_a_source_are_refused() -> None:
    source = sid.EmbeddingArrays(np.eye(3))
    with pytest.raises(
        sid.ConfigError, match="weights go with arrays only; an embedding source brings its own"
    ):
        sid.fit_rqvae(source, np.ones(3))


def test_a_file_that_shrinks_while_it_is_read_is_said(tmp_path: Path) -> None:
    embeddings = sid.synthetic_items(400, dim=8, seed=1).embeddings
    write(tmp_path, embeddings, np.ones(400))
    source = sid.ParquetEmbeddings(tmp_path, buffer_rows=128)
    found = start_rqvae(source, None, CONFIG)
    assert found.embedding_dim == 8
    source._segments.pop()
    source_in_order = sid.ParquetEmbeddings(tmp_path)
    source.in_order = source_in_order.in_order  # the first pass still sees all
    with pytest.raises(
        sid.DataError, match=r"a pass over the embeddings gave \d+ items, the first one 400; leave"
    ):
        sid.fit_rqvae(source, config=CONFIG)
