"""The quantizer as a SavedModel: what pipelines, servers and feature stores load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from semid_tf.artifacts import Artifact, open_artifact
from semid_tf.config import CodeSpace
from semid_tf.errors import DataError
from semid_tf.ids.semantic_id import require_codes
from semid_tf.quantizer.rqvae import RQVAE

KIND = "quantizer"
_BATCH = 4096


def quantizer_module(model: RQVAE) -> tf.Module:
    """The signatures of a trained RQ-VAE as a plain `tf.Module` that knows no Keras.

    Returns:
        A module with `encode` (`embedding` float32 [n, embedding_dim] -> `codes` int32 [n, num_levels]) and
        `decode` (the way back), both for batches of any size.
    """
    folded = [tf.Variable(matrix, trainable=False) for matrix in model.quantizer.folded()]

    @tf.function(input_signature=[tf.TensorSpec((None, model.embedding_dim), tf.float32, "embedding")])
    def encode(embedding: tf.Tensor) -> dict[str, tf.Tensor]:
        latent = model.encoder(model.standardize(embedding))
        return {"codes": model.quantizer.encode(latent, folded)}

    @tf.function(input_signature=[tf.TensorSpec((None, model.code_space.num_levels), tf.int32, "codes")])
    def decode(codes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"embedding": model.decode(codes)}

    module = tf.Module(name="quantizer")
    module.encode, module.decode = encode, decode
    module.tracked = [*folded, *model.weights]
    return module


def save_quantizer(model: RQVAE, folder: str | Path) -> None:
    """Writes a trained RQ-VAE as a SavedModel with the signatures `encode` and `decode`."""
    module = quantizer_module(model)
    tf.saved_model.save(module, str(folder), signatures={"encode": module.encode, "decode": module.decode})


class SavedQuantizer:
    """A quantizer loaded from its artifact; encodes NumPy arrays of any length.

    Attributes:
        artifact: folder and manifest.
        code_space: the range of the codes.
        embedding_dim: of the embeddings that it takes.
        module: the loaded SavedModel, for use inside other TensorFlow programs.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.module = tf.saved_model.load(str(artifact.path))
        config = artifact.manifest.config
        self.code_space = CodeSpace(config["num_levels"], config["codebook_size"])
        (spec,) = self.module.signatures["encode"].structured_input_signature[1].values()
        self.embedding_dim = int(spec.shape[1])

    @property
    def fingerprint(self) -> str:
        """Identifies settings and weights."""
        return self.artifact.fingerprint

    def encode(self, embeddings: np.ndarray) -> np.ndarray:
        """Codes of embeddings, float32 [n, embedding_dim]: int32 [n, num_levels].

        Raises:
            DataError: the embeddings have another dimension.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != self.embedding_dim:
            raise DataError(
                f"embeddings have shape {list(embeddings.shape)}; quantizer {self.fingerprint} takes "
                f"[n, {self.embedding_dim}]."
            )
        return self._in_batches("encode", "codes", np.asarray(embeddings, np.float32))

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Embeddings that codes, int [n, num_levels], stand for: float32 [n, embedding_dim].

        Raises:
            CodesError: a code is out of range.
        """
        require_codes(codes, self.code_space)
        return self._in_batches("decode", "embedding", np.asarray(codes, np.int32))

    def _in_batches(self, signature: str, output: str, values: np.ndarray) -> np.ndarray:
        run = self.module.signatures[signature]
        starts = range(0, max(len(values), 1), _BATCH)
        return np.concatenate([run(tf.constant(values[i : i + _BATCH]))[output].numpy() for i in starts])


def load_quantizer(folder: str | Path) -> SavedQuantizer:
    """Loads a published quantizer.

    Raises:
        ArtifactError: the folder is no complete quantizer.
    """
    return SavedQuantizer(open_artifact(folder, KIND))
