"""What all quantizers have in common: embeddings in, codes out, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.artifacts import fingerprint
from semid_tf.config import CodeSpace, ResidualKMeansConfig, RQVAEConfig
from semid_tf.quantizer.beam import beam_width_for
from semid_tf.quantizer.residual import MeasuredCandidates, ResidualQuantizer


class Quantizer(tf_keras.Model):
    """A model around a residual quantizer.

    Attributes:
        embedding_dim: of the embeddings that it takes.
        quantizer: codes latent vectors.
        config: settings.
    """

    embedding_dim: int
    quantizer: ResidualQuantizer
    config: RQVAEConfig | ResidualKMeansConfig

    @property
    def code_space(self) -> CodeSpace:
        """Levels and codes of the Semantic IDs."""
        return self.quantizer.code_space

    @property
    def beam_width(self) -> int:
        """Of the search for codes: the setting, or `beam_width_for` the levels where a beam suits them."""
        settled = beam_width_for(self.code_space.num_levels) if self.quantizer.additive else 1
        return self.config.beam_width or settled

    @property
    def fingerprint(self) -> str:
        """Identifies settings and weights."""
        return fingerprint(self.get_config(), *self.get_weights())

    def latent(self, embedding: tf.Tensor) -> tf.Tensor:
        """What is quantized of embeddings, float32 [n, embedding_dim]: float32 [n, dim]."""
        raise NotImplementedError

    def constant_latent(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """`latent` for a SavedModel: what depends on weights alone is computed now. Gives equal numbers."""
        return self.latent

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Embeddings that codes, int32 [n, num_levels], stand for: float32 [n, embedding_dim]."""
        raise NotImplementedError

    def encode(self, embedding: tf.Tensor, beam_width: int = 0) -> tf.Tensor:
        """Codes of embeddings, float32 [n, embedding_dim]: int32 [n, num_levels], coarsest first.

        Ties go to the lowest index. A beam_width above 1 searches for less squared error at beam_width times
        the cost, see `beam_codes`; 0 = the quantizer's own. A row that is not finite gets some codes of the
        code space.

        Raises:
            ConfigError: the beam width does not suit the quantizer.
        """
        return self.quantizer.encode(self.latent(embedding), beam_width or self.beam_width)

    def candidates(self, embedding: tf.Tensor, k: int, beam_width: int = 0) -> tf.Tensor:
        """Codes for the last level, nearest first, under each item's earlier codes: int32 [n, k].

        Candidate 0 is the item's own last code.

        Raises:
            ConfigError: k exceeds the codes of the last level.
        """
        return self.quantizer.candidates(self.latent(embedding), k, beam_width or self.beam_width)

    def measured_candidates(self, embedding: tf.Tensor, k: int, beam_width: int = 0) -> MeasuredCandidates:
        """The same with their squared distances, which `balanced_candidates` asks for.

        Raises:
            ConfigError: k exceeds the codes of the last level.
        """
        return self.quantizer.measured_candidates(self.latent(embedding), k, beam_width or self.beam_width)

    def call(self, embedding: tf.Tensor) -> tf.Tensor:
        """The embedding after encoding and decoding, float32 [n, embedding_dim]."""
        return self.decode(self.encode(embedding))

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Nothing to do: a model is built when it is made."""
