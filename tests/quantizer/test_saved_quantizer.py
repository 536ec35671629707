"""A published quantizer refuses what it cannot use, and says so. (Equal codes: see contracts.)"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import semid_tf as sid

CONFIG = sid.RQVAEConfig(num_levels=2, codebook_size=4, latent_dim=3, hidden_dim=4)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> sid.SavedQuantizer:
    """A small published quantizer of embeddings of length 5."""
    model = sid.RQVAE(5, CONFIG)

    def fill(folder: Path) -> sid.Made:
        sid.save_quantizer(model, folder)
        return sid.Made(model.fingerprint)

    artifact = sid.ArtifactStore(tmp_path_factory.mktemp("store")).make("quantizer", CONFIG, (), fill)
    return sid.load_quantizer(artifact.path)


def test_it_knows_what_it_is(saved: sid.SavedQuantizer) -> None:
    assert saved.code_space == sid.CodeSpace(2, 4)
    assert saved.embedding_dim == 5
    assert saved.fingerprint == saved.artifact.path.name


@pytest.mark.parametrize("shape", [(3, 4), (5,), (2, 3, 5)])
def test_embeddings_of_another_shape_are_refused(saved: sid.SavedQuantizer, shape: tuple[int, ...]) -> None:
    with pytest.raises(sid.DataError, match=rf"have shape .*; quantizer {saved.fingerprint} takes \[n, 5\]"):
        saved.encode(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.float32([[0] * 5, [0, 0, np.nan, 0, 0]]), "embeddings[1] is not finite; remove"),
        (
            np.float16([[0] * 5, [0] * 5, [0, 0, np.inf, 0, 0]]),
            "embeddings[2] is not finite (float16 ends at",
        ),
        (
            np.float64([[1e300] * 5]),
            "embeddings[0] is not finite in float32 (its float64 numbers are too large)",
        ),
    ],
)
def test_embeddings_that_are_not_finite_are_refused(
    saved: sid.SavedQuantizer, values: np.ndarray, message: str
) -> None:
    for ask in (saved.encode, lambda rows: saved.candidates(rows, 1)):
        with pytest.raises(sid.DataError, match="^" + re.escape(message)):
            ask(values)


def test_in_graph_a_row_that_is_not_finite_spoils_only_itself(saved: sid.SavedQuantizer) -> None:
    rows = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    expected = saved.encode(rows)
    rows[2], rows[4] = np.nan, np.inf
    found = saved.module.signatures["encode"](embedding=tf.constant(rows))["codes"].numpy()
    np.testing.assert_array_equal(found[[0, 1, 3, 5]], expected[[0, 1, 3, 5]])
    sid.require_codes(found, saved.code_space)


@pytest.mark.parametrize("size", [4, 1024])
def test_a_beam_is_saved_and_not_spoilt_by_a_row_that_is_not_finite(tmp_path: Path, size: int) -> None:
    model = sid.RQVAE(5, dataclasses.replace(CONFIG, num_levels=5, codebook_size=size))
    sid.save_quantizer(model, tmp_path)
    rows = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    expected = model.encode(rows).numpy()
    rows[2], rows[4] = np.nan, np.inf
    found = (
        tf.saved_model.load(str(tmp_path)).signatures["encode"](embedding=tf.constant(rows))["codes"].numpy()
    )
    np.testing.assert_array_equal(found[[0, 1, 3, 5]], expected[[0, 1, 3, 5]])
    sid.require_codes(found, model.code_space)


def test_more_candidates_than_were_saved_are_refused(saved: sid.SavedQuantizer) -> None:
    message = (
        "k must lie between 1 and the 4 candidates that were saved, got 5; "
        "save_quantizer(..., candidates=) saves up to 4."
    )
    with pytest.raises(sid.ConfigError, match=f"^{re.escape(message)}$"):
        saved.candidates(np.zeros((1, 5), np.float32), 5)
    assert saved.candidates(np.zeros((0, 5), np.float32), 3).shape == (0, 3)


@pytest.mark.parametrize(("asked", "most"), [(64, 64), (100, 100), (200, 128)])
def test_as_many_candidates_are_saved_as_are_asked_for(tmp_path: Path, asked: int, most: int) -> None:
    model = sid.RQVAE(5, dataclasses.replace(CONFIG, codebook_size=(4, 128)))
    sid.save_quantizer(model, tmp_path, candidates=asked)
    rows = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    found = tf.saved_model.load(str(tmp_path)).signatures["candidates"](embedding=tf.constant(rows))
    np.testing.assert_array_equal(found["candidates"], model.candidates(rows, most))


def test_no_candidates_are_refused_before_saving(tmp_path: Path) -> None:
    with pytest.raises(sid.ConfigError, match="candidates must be at least 1, got 0"):
        sid.save_quantizer(sid.RQVAE(5, CONFIG), tmp_path / "it", candidates=0)


def test_a_beam_that_does_not_suit_is_refused_before_saving(tmp_path: Path) -> None:
    items = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
    config = sid.ResidualKMeansConfig(num_levels=2, codebook_size=4, balanced=True)
    with pytest.raises(sid.ConfigError, match="beam_width must be 1 with balanced codes"):
        sid.save_quantizer(sid.fit_residual_kmeans(items, config=config), tmp_path / "it", beam_width=2)
    assert not (tmp_path / "it").exists()


def test_codes_out_of_range_are_refused(saved: sid.SavedQuantizer) -> None:
    with pytest.raises(sid.CodesError, match=r"codes\[1, 0\] is 4; level 0 has codes 0 to 3"):
        saved.decode(np.array([[0, 0], [4, 0]]))


def test_no_items_have_no_codes(saved: sid.SavedQuantizer) -> None:
    assert saved.encode(np.zeros((0, 5), np.float32)).shape == (0, 2)
    assert saved.decode(np.zeros((0, 2), np.int32)).shape == (0, 5)


@pytest.mark.parametrize("items", [1, 3, 1020, 1021, 1027])
def test_parts_of_a_batch_keep_its_order(saved: sid.SavedQuantizer, items: int) -> None:
    rows = np.random.default_rng(0).normal(size=(items, 5)).astype(np.float32)
    one_by_one = np.concatenate([saved.encode(rows[i : i + 1]) for i in range(items)])
    np.testing.assert_array_equal(saved.encode(rows), one_by_one)


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_floats_are_taken(saved: sid.SavedQuantizer, kind: type) -> None:
    values = np.random.default_rng(0).integers(-4, 5, (9, 5)).astype(kind)
    np.testing.assert_array_equal(saved.encode(values), saved.encode(values.astype(np.float32)))


def test_signatures_are_named_and_typed(saved: sid.SavedQuantizer) -> None:
    assert set(saved.module.signatures) == {"encode", "decode", "candidates"}
    encode, decode = (saved.module.signatures[name] for name in ("encode", "decode"))
    assert encode.structured_input_signature[1] == {
        "embedding": tf.TensorSpec((None, 5), tf.float32, "embedding")
    }
    assert decode.structured_input_signature[1] == {"codes": tf.TensorSpec((None, 2), tf.int32, "codes")}
    assert (list(encode.structured_outputs), list(decode.structured_outputs)) == (["codes"], ["embedding"])


def test_another_kind_or_nothing_is_refused(saved: sid.SavedQuantizer, tmp_path: Path) -> None:
    with pytest.raises(sid.ArtifactError, match="is no complete artifact"):
        sid.load_quantizer(tmp_path)
    manifest = json.loads((saved.artifact.path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"kind": "ranker"}))
    with pytest.raises(sid.ArtifactError, match="is a ranker, not a quantizer"):
        sid.load_quantizer(tmp_path)
