"""One item, one Semantic ID: whichever way the codes are computed, they are equal bit for bit."""

from __future__ import annotations

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


@pytest.fixture(scope="module")
def published(fitted: sid.RQVAE, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quantizer as an artifact."""

    def fill(folder: Path) -> sid.Made:
        sid.save_quantizer(fitted, folder)
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


def test_the_codes_tell_items_apart(fitted_codes: np.ndarray) -> None:
    assert fitted_codes.dtype == np.int32
    assert sid.unique_rate(fitted_codes) > 0.3
    assert min(sid.code_usage(fitted_codes, sid.CodeSpace(3, 16))) > 0.9


def test_graph(fitted: sid.RQVAE, catalogue_items: sid.Items, fitted_codes: np.ndarray) -> None:
    np.testing.assert_array_equal(tf.function(fitted.encode)(catalogue_items.embeddings), fitted_codes)


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_batch_sizes(bare: Any, catalogue_items: sid.Items, fitted_codes: np.ndarray, size: int) -> None:
    found = in_batches(by_signature(bare), catalogue_items.embeddings, size)
    np.testing.assert_array_equal(found, fitted_codes)


def test_eager_one_by_one(fitted: sid.RQVAE, catalogue_items: sid.Items, fitted_codes: np.ndarray) -> None:
    found = in_batches(lambda rows: fitted.encode(rows).numpy(), catalogue_items.embeddings[:200], 1)
    np.testing.assert_array_equal(found, fitted_codes[:200])


def test_keras_file(
    fitted: sid.RQVAE, catalogue_items: sid.Items, fitted_codes: np.ndarray, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "it.keras")
    again = tf_keras.models.load_model(tmp_path / "it.keras", compile=False)
    np.testing.assert_array_equal(again.encode(catalogue_items.embeddings), fitted_codes)
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
    fitted: sid.RQVAE, bare: Any, catalogue_items: sid.Items, fitted_codes: np.ndarray
) -> None:
    found = bare.signatures["decode"](codes=tf.constant(fitted_codes))["embedding"]
    np.testing.assert_allclose(found, fitted(catalogue_items.embeddings), rtol=1e-5, atol=1e-6)
