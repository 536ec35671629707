"""One item, one Semantic ID: whichever way the codes are computed, they are equal bit for bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid
from pipelines.encode import encode_corpus

Encode = Callable[[np.ndarray], np.ndarray]


SMALL = sid.RQVAEConfig(
    num_levels=3,
    codebook_size=16,
    latent_dim=8,
    hidden_dim=16,
    epochs=1,
    batch_size=256,
    kmeans_iterations=10,
)
KINDS = ["rqvae", "hybrid rqvae", "residual k-means", "normalized", "balanced", "fsq", "beam"]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each quantizer in turn."""
    return request.param


@pytest.fixture(scope="module")
def fitted(kind: str, catalogue_items: sid.Items) -> Any:
    """It, fitted on the catalogue."""
    embeddings = catalogue_items.embeddings
    kmeans = sid.ResidualKMeansConfig(num_levels=3, codebook_size=16)
    match kind:
        case "rqvae" | "beam":
            return sid.fit_rqvae(embeddings, config=SMALL)
        case "hybrid rqvae":
            return sid.fit_rqvae(embeddings, config=dataclasses.replace(SMALL, assignment="hybrid"))
        case "normalized":
            kmeans = dataclasses.replace(kmeans, assignment="normalized")
        case "balanced":
            kmeans = dataclasses.replace(kmeans, balanced=True)
        case "fsq":
            kmeans = dataclasses.replace(kmeans, fsq_sizes=(4, 4))
    return sid.fit_residual_kmeans(embeddings, config=kmeans)


@pytest.fixture(scope="module")
def beam_width(kind: str) -> int:
    """Of the search for codes."""
    return 3 if kind == "beam" else 1


@pytest.fixture(scope="module")
def fitted_codes(fitted: Any, catalogue_items: sid.Items, beam_width: int) -> np.ndarray:
    """Codes of the catalogue: int32 [3000, 3]."""
    return fitted.encode(catalogue_items.embeddings, beam_width).numpy()


@pytest.fixture(scope="module")
def published(fitted: Any, beam_width: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quantizer as an artifact."""

    def fill(folder: Path) -> sid.Made:
        sid.save_quantizer(fitted, folder, beam_width)
        return sid.Made(fitted.fingerprint)

    return sid.ArtifactStore(tmp_path_factory.mktemp("store")).make("quantizer", fitted.config, (), fill).path


@pytest.fixture(scope="module")
def bare(published: Path) -> Any:
    """The SavedModel as any TensorFlow program loads it."""
    return tf.saved_model.load(str(published))


def in_batches(encode: Encode, embeddings: np.ndarray, size: int) -> np.ndarray:
    """Codes of all embeddings, so many at a time."""
    return np.concatenate([encode(embeddings[i : i + size]) for i in range(0, len(embeddings), size)])


def by_signature(bare: Any) -> Encode:
    """The signature `encode` of a loaded SavedModel."""
    return lambda rows: bare.signatures["encode"](embedding=tf.constant(rows))["codes"].numpy()


def test_the_codes_tell_items_apart(fitted_codes: np.ndarray, kind: str) -> None:
    assert fitted_codes.dtype == np.int32
    # Sixteen directions a level tell few of these items apart.
    assert sid.unique_rate(fitted_codes) > (0.04 if kind == "hybrid rqvae" else 0.15)
    assert min(sid.code_usage(fitted_codes, sid.CodeSpace(3, 16))) > 0.9


def test_graph(fitted: Any, catalogue_items: sid.Items, fitted_codes: np.ndarray, beam_width: int) -> None:
    found = tf.function(lambda rows: fitted.encode(rows, beam_width))(catalogue_items.embeddings)
    np.testing.assert_array_equal(found, fitted_codes)


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_batch_sizes(bare: Any, catalogue_items: sid.Items, fitted_codes: np.ndarray, size: int) -> None:
    found = in_batches(by_signature(bare), catalogue_items.embeddings, size)
    np.testing.assert_array_equal(found, fitted_codes)


def test_eager_one_by_one(
    fitted: Any, catalogue_items: sid.Items, fitted_codes: np.ndarray, beam_width: int
) -> None:
    rows = catalogue_items.embeddings[:100]
    found = in_batches(lambda row: fitted.encode(row, beam_width).numpy(), rows, 1)
    np.testing.assert_array_equal(found, fitted_codes[:100])


def test_keras_file(
    fitted: Any, catalogue_items: sid.Items, fitted_codes: np.ndarray, beam_width: int, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "it.keras")
    again = tf_keras.models.load_model(tmp_path / "it.keras", compile=False)
    np.testing.assert_array_equal(again.encode(catalogue_items.embeddings, beam_width), fitted_codes)
    assert again.fingerprint == fitted.fingerprint


def test_saved_quantizer(published: Path, catalogue_items: sid.Items, fitted_codes: np.ndarray) -> None:
    quantizer = sid.load_quantizer(published)
    many = np.tile(catalogue_items.embeddings, (3, 1))
    np.testing.assert_array_equal(quantizer.encode(many), np.tile(fitted_codes, (3, 1)))


def test_beam(published: Path, catalogue_items: sid.Items, fitted_codes: np.ndarray, tmp_path: Path) -> None:
    pq.write_table(catalogue_items.table, tmp_path / "items.parquet", row_group_size=700)
    (tmp_path / "out").mkdir()
    encode_corpus(str(tmp_path / "items.parquet"), published, tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "codes")
    found = dict(zip(table["item_id"].to_pylist(), table["codes"].to_pylist(), strict=True))
    assert found == dict(zip(catalogue_items.item_ids, fitted_codes.tolist(), strict=True))


def test_the_way_back_is_the_same(
    fitted: Any, bare: Any, catalogue_items: sid.Items, fitted_codes: np.ndarray, beam_width: int
) -> None:
    found = bare.signatures["decode"](codes=tf.constant(fitted_codes))["embedding"]
    np.testing.assert_allclose(found, fitted.decode(fitted_codes), rtol=1e-5, atol=1e-6)
    if beam_width == 1:
        np.testing.assert_allclose(found, fitted(catalogue_items.embeddings), rtol=1e-5, atol=1e-6)


def test_candidates_begin_with_the_items_own_code(
    fitted: Any, published: Path, catalogue_items: sid.Items, fitted_codes: np.ndarray, beam_width: int
) -> None:
    found = fitted.candidates(catalogue_items.embeddings, 5, beam_width).numpy()
    np.testing.assert_array_equal(found[:, 0], fitted_codes[:, -1])
    saved = sid.load_quantizer(published).candidates(catalogue_items.embeddings, 16)
    np.testing.assert_array_equal(saved[:, :5], found)
    assert (np.sort(saved, axis=1) == np.arange(16)).all()


def test_distances_of_candidates_are_squared_and_rise(
    kind: str, fitted: Any, published: Path, catalogue_items: sid.Items, beam_width: int
) -> None:
    embeddings = catalogue_items.embeddings
    codes, distances = fitted.measured_candidates(embeddings, 5, beam_width)
    saved = sid.load_quantizer(published).measured_candidates(embeddings, 5)
    np.testing.assert_array_equal(saved.codes, codes)
    np.testing.assert_allclose(saved.distances, distances, rtol=1e-4, atol=1e-4)
    assert (np.diff(distances, axis=1) >= 0).all()
    if kind not in ("balanced", "beam"):  # there with prices; after other codes than greedy ones
        left = fitted.quantizer(fitted.latent(embeddings)).residuals[-1].numpy()
        words = fitted.quantizer.codebook(2).numpy()[codes.numpy()[:, 0]]
        np.testing.assert_allclose(distances[:, 0], np.square(left - words).sum(axis=1), atol=1e-4)
