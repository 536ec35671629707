"""A published quantizer refuses what it cannot use, and says so. (Equal codes: see contracts.)"""

from __future__ import annotations

import json
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


def test_codes_out_of_range_are_refused(saved: sid.SavedQuantizer) -> None:
    with pytest.raises(sid.CodesError, match=r"codes\[1, 0\] is 4; level 0 has codes 0 to 3"):
        saved.decode(np.array([[0, 0], [4, 0]]))


def test_no_items_have_no_codes(saved: sid.SavedQuantizer) -> None:
    assert saved.encode(np.zeros((0, 5), np.float32)).shape == (0, 2)
    assert saved.decode(np.zeros((0, 2), np.int32)).shape == (0, 5)


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
