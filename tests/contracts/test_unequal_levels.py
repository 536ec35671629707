"""Levels of unequal size: every way of making, carrying and reading codes keeps to each level's own range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tf_keras
from reference import residual_quantization as reference

import semid_tf as sid
from pipelines.encode import encode_corpus

SIZES = (16, 8, 4)
SPACE = sid.CodeSpace(3, SIZES)
CONFIG = sid.RQVAEConfig(
    num_levels=3,
    codebook_size=SIZES,
    latent_dim=8,
    hidden_dim=8,
    decoder_dim=1024,
    training_beam_width=2,
    epochs=2,
    batch_size=256,
    revive_after_steps=2,
)


@pytest.fixture(scope="module")
def model(catalogue_items: sid.Items) -> sid.RQVAE:
    """Fitted on the catalogue."""
    return sid.fit_rqvae(catalogue_items.embeddings, config=CONFIG)


@pytest.fixture(scope="module")
def codes(model: sid.RQVAE, catalogue_items: sid.Items) -> np.ndarray:
    """Of the catalogue: int32 [3000, 3]."""
    return model.encode(catalogue_items.embeddings).numpy()


@pytest.fixture(scope="module")
def published(model: sid.RQVAE, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quantizer as an artifact."""

    def fill(folder: Path) -> sid.Made:
        sid.save_quantizer(model, folder)
        return sid.Made(model.fingerprint)

    return sid.ArtifactStore(tmp_path_factory.mktemp("store")).make("quantizer", CONFIG, (), fill).path


def test_codes_are_those_of_numpy_with_each_levels_own_codebook(
    model: sid.RQVAE, codes: np.ndarray, catalogue_items: sid.Items
) -> None:
    latent = model.encoder(model.standardize(catalogue_items.embeddings)).numpy()
    books = [model.quantizer.codebook(level).numpy() for level in range(3)]
    assert [len(book) for book in books] == list(SIZES)
    _, expected = reference.residuals_and_codes(latent, books)
    assert (codes == expected).all(axis=1).mean() > 0.999
    assert min(sid.code_usage(codes, SPACE)) > 0.9


def test_the_saved_model_gives_the_same_codes_and_knows_its_sizes(
    published: Path, codes: np.ndarray, catalogue_items: sid.Items
) -> None:
    quantizer = sid.load_quantizer(published)
    assert quantizer.code_space == SPACE
    np.testing.assert_array_equal(quantizer.encode(catalogue_items.embeddings), codes)
    with pytest.raises(sid.CodesError, match=r"codes\[0, 2\] is 4; level 2 has codes 0 to 3\."):
        quantizer.decode(np.array([[15, 7, 4]]))


def test_beam_gives_the_same_codes_and_figures(
    published: Path, codes: np.ndarray, catalogue_items: sid.Items, tmp_path: Path
) -> None:
    pq.write_table(catalogue_items.table, tmp_path / "items.parquet")
    (tmp_path / "out").mkdir()
    report = encode_corpus(str(tmp_path / "items.parquet"), published, tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "codes")
    found = dict(zip(table["item_id"].to_pylist(), table["codes"].to_pylist(), strict=True))
    assert found == dict(zip(catalogue_items.item_ids, codes.tolist(), strict=True))
    assert report["code_usage"] == sid.code_usage(codes, SPACE)


def test_a_keras_file_keeps_the_sizes(
    model: sid.RQVAE, codes: np.ndarray, catalogue_items: sid.Items, tmp_path: Path
) -> None:
    model.save(tmp_path / "it.keras")
    again = tf_keras.models.load_model(tmp_path / "it.keras", compile=False)
    assert again.config == CONFIG
    np.testing.assert_array_equal(again.encode(catalogue_items.embeddings), codes)


def test_what_is_behind_a_smaller_codebook_is_never_revived(
    model: sid.RQVAE, catalogue_items: sid.Items
) -> None:
    again = sid.RQVAE.from_config(model.get_config())
    again.set_weights(model.get_weights())
    again.compile(tf_keras.optimizers.SGD(0.0))
    for start in range(0, 1200, 100):
        again.train_on_batch(catalogue_items.embeddings[start : start + 100])
    assert not again.quantizer.codebooks.numpy()[1, 8:].any()
    assert not again.quantizer.codebooks.numpy()[2, 4:].any()


@pytest.mark.parametrize("model_type", ["bpe", "unigram"])
def test_sentencepiece_in_graph_equals_python(codes: np.ndarray, model_type: str) -> None:
    counts = np.random.default_rng(0).zipf(1.6, len(codes)).clip(max=500) - 1
    pieces = sid.train_sentencepiece(codes, counts, SPACE, 70, model_type)
    every = (
        np.stack(np.meshgrid(*map(np.arange, SIZES), indexing="ij"), axis=-1).reshape(-1, 3).astype(np.int32)
    )
    both = sid.PiecesAndCodes(pieces)
    for tokenizer in (pieces, both):
        found = tf.function(tokenizer.encode_in_graph)(tf.constant(every))
        np.testing.assert_array_equal(found, tokenizer.encode(every))
        assert tokenizer is both or (found.numpy() != 1).all(), "an unknown piece"
        outside = np.array([[0, 8, 0], [0, 0, 4], [16, 0, 0], [-1, -1, -1]], np.int32)
        assert not tokenizer.encode_in_graph(tf.constant(outside)).numpy().any()
    single = pieces.single_codes()
    np.testing.assert_array_equal(both.encode(every)[:, :3], sid.NgramTokenizer(SPACE).encode(every))
    assert len(np.unique(single[single > 0])) == SPACE.num_codes
