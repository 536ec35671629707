"""The quantizer as a SavedModel: what pipelines, servers and feature stores load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from semid_tf.artifacts import Artifact, open_artifact
from semid_tf.config import CodeSpace
from semid_tf.data.finite import finite_float32
from semid_tf.data.tensors import as_tensor
from semid_tf.errors import ConfigError, DataError
from semid_tf.ids.semantic_id import require_codes
from semid_tf.quantizer.base import Quantizer
from semid_tf.quantizer.residual import MeasuredCandidates, candidates_under
from semid_tf.quantizer.search import SearchLevel

KIND = "quantizer"
_BATCH = 4096
_CANDIDATES = 64
_FEW = 256


def quantizer_module(model: Quantizer, beam_width: int = 0, candidates: int = _CANDIDATES) -> tf.Module:
    """The signatures of a trained quantizer as a plain `tf.Module` that knows no Keras.

    Args:
        model: an `RQVAE` or a `ResidualKMeans`.
        beam_width: of the search for codes, see `beam_codes`; 0 = the model's own.
        candidates: k, at most so many; fewer where the last level has fewer codes.

    Returns:
        A module with `encode` (`embedding` float32 [n, embedding_dim] -> `codes` int32 [n, num_levels]),
        `decode` (the way back) and `candidates` (`embedding` -> `codes`, `candidates` int32 [n, k], the last
        level's codes, nearest first, and their `distances` float32 [n, k]), all for batches of any size.

    Raises:
        ConfigError: the beam width does not suit the quantizer; candidates below 1.
    """
    beam_width = beam_width or model.beam_width
    model.quantizer.require_beam_width(beam_width)
    if candidates < 1:
        raise ConfigError(f"candidates must be at least 1, got {candidates}.")
    latent_of, levels = model.constant_latent(), [_constants(level) for level in model.quantizer.levels()]
    k = min(candidates, model.code_space.codebook_sizes[-1])
    embeddings = tf.TensorSpec((None, model.embedding_dim), tf.float32, "embedding")
    latents = tf.TensorSpec((None, model.quantizer.codebooks.shape[-1]), tf.float32, "latent")

    @tf.function(input_signature=[latents])  # one body in the file, wherever it is called
    def codes_of(latent: tf.Tensor) -> tf.Tensor:
        return model.quantizer.encode(latent, beam_width, [_read(level) for level in levels])

    @tf.function(input_signature=[embeddings])
    def encode(embedding: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"codes": _in_two(lambda part: codes_of(latent_of(part)), embedding)}

    @tf.function(input_signature=[tf.TensorSpec((None, model.code_space.num_levels), tf.int32, "codes")])
    def decode(codes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"embedding": model.decode(codes)}

    @tf.function(input_signature=[embeddings])
    def candidates_of(embedding: tf.Tensor) -> dict[str, tf.Tensor]:
        latent = latent_of(embedding)
        codes = codes_of(latent)
        found = candidates_under(codes, latent, k, levels)
        return {"codes": codes, "candidates": found.codes, "distances": found.distances}

    module = tf.Module(name="quantizer")
    module.encode, module.decode, module.candidates = encode, decode, candidates_of
    module.latent = latent_of
    module.tracked = [*model.weights, *(tensor for level in levels for tensor in level[:2])]
    return module


def _in_two(function: Callable[[tf.Tensor], tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
    """function of rows in two parts, so that one goes on while the other waits for a step of a single thread;
    few rows are all in the first."""
    size = tf.maximum(-(-tf.shape(rows)[0] // 2), _FEW)
    return tf.concat([function(rows[:size]), function(rows[size:])], 0)


def _constants(level: SearchLevel) -> SearchLevel:
    folded, words = (tf.Variable(tensor, trainable=False) for tensor in (level.folded, level.words))
    return level._replace(folded=folded, words=words)


def _read(level: SearchLevel) -> SearchLevel:
    """With its variables read once: a loop that reads them does one round after the other."""
    folded, words = (tf.convert_to_tensor(variable) for variable in (level.folded, level.words))
    return level._replace(folded=folded, words=words)


def save_quantizer(
    model: Quantizer, folder: str | Path, beam_width: int = 0, candidates: int = _CANDIDATES
) -> None:
    """Writes a trained quantizer as a SavedModel with the signatures `encode`, `decode` and `candidates`.

    Args:
        model: an `RQVAE` or a `ResidualKMeans`.
        folder: to write into.
        beam_width: of the search for codes in `encode`: 1 = greedy, see `beam_codes`; 0 = the model's own.
        candidates: last codes that `candidates` gives an item, at most as many as there are. Relocation needs
            as many as items share their earlier codes.

    Raises:
        ConfigError: the beam width does not suit the quantizer; candidates below 1.
    """
    module = quantizer_module(model, beam_width, candidates)
    signatures = {name: getattr(module, name) for name in ("encode", "decode", "candidates")}
    tf.saved_model.save(module, str(folder), signatures=signatures)


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
            DataError: the embeddings have another dimension or are not finite.
        """
        return self._in_batches("encode", self._checked(embeddings), "codes")[0]

    def candidates(self, embeddings: np.ndarray, k: int) -> np.ndarray:
        """Codes for the last level, nearest first, under each item's earlier codes: int32 [n, k].

        Candidate 0 is the item's own last code.

        Raises:
            ConfigError: the quantizer was saved with fewer candidates.
            DataError: the embeddings have another dimension or are not finite.
        """
        return self._candidates(embeddings, k, "candidates")[0]

    def measured_candidates(self, embeddings: np.ndarray, k: int) -> MeasuredCandidates:
        """The same with their squared distances, float32 [n, k], which `balanced_candidates` asks for.

        Raises:
            ConfigError: the quantizer was saved with fewer candidates, or before their distances were.
            DataError: the embeddings have another dimension or are not finite.
        """
        if "distances" not in self.module.signatures["candidates"].structured_outputs:
            raise ConfigError(f"quantizer {self.fingerprint} was saved without distances; save it anew.")
        return MeasuredCandidates(*self._candidates(embeddings, k, "candidates", "distances"))

    def _candidates(self, embeddings: np.ndarray, k: int, *outputs: str) -> list[np.ndarray]:
        most = int(self.module.signatures["candidates"].structured_outputs["candidates"].shape[1])
        if not 1 <= k <= most:
            raise ConfigError(
                f"k must lie between 1 and the {most} candidates that were saved, got {k}; "
                f"save_quantizer(..., candidates=) saves up to {self.code_space.codebook_sizes[-1]}."
            )
        found = self._in_batches("candidates", self._checked(embeddings), *outputs)
        return [values[:, :k] for values in found]

    def _checked(self, embeddings: np.ndarray) -> np.ndarray:
        if embeddings.ndim != 2 or embeddings.shape[1] != self.embedding_dim:
            raise DataError(
                f"embeddings have shape {list(embeddings.shape)}; quantizer {self.fingerprint} takes "
                f"[n, {self.embedding_dim}]."
            )
        return finite_float32(embeddings)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Embeddings that codes, int [n, num_levels], stand for: float32 [n, embedding_dim].

        Raises:
            CodesError: a code is out of range.
        """
        require_codes(codes, self.code_space)
        return self._in_batches("decode", np.asarray(codes, np.int32), "embedding")[0]

    def _in_batches(self, signature: str, values: np.ndarray, *outputs: str) -> list[np.ndarray]:
        run, starts = self.module.signatures[signature], range(0, max(len(values), 1), _BATCH)
        found = (run(as_tensor(values[i : i + _BATCH])) for i in starts)
        columns = zip(*([part[output].numpy() for output in outputs] for part in found), strict=True)
        return [np.concatenate(column) for column in columns]


def load_quantizer(folder: str | Path) -> SavedQuantizer:
    """Loads a published quantizer.

    Raises:
        ArtifactError: the folder is no complete quantizer.
    """
    return SavedQuantizer(open_artifact(folder, KIND))
