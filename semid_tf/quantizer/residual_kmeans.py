"""Residual k-means behind the interface of the RQ-VAE: no network, codes directly in embedding space."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.config import ResidualKMeansConfig, from_table
from semid_tf.quantizer.assignment import assignments, has_unit_levels
from semid_tf.quantizer.base import Quantizer
from semid_tf.quantizer.initialization import Standardization
from semid_tf.quantizer.levels import FittedLevels
from semid_tf.quantizer.residual import ResidualQuantizer


@tf_keras.saving.register_keras_serializable("semid_tf")
class ResidualKMeans(Quantizer):
    """Embeddings less their mean go to the residual quantizer; see `fit_residual_kmeans`.

    Where codewords have length 1, embeddings are also scaled, see `standardization_for`.

    Where residuals are brought to length 1 (`normalized`), the way back knows only their mean lengths n_l:
    x = n_1 (e_1 + n_2 (e_2 + ...)).

    Args:
        embedding_dim: dimension of the content embeddings.
        config: levels, codes and clusters; see `ResidualKMeansConfig`.
    """

    config: ResidualKMeansConfig

    def __init__(self, embedding_dim: int, config: ResidualKMeansConfig | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config or ResidualKMeansConfig()
        self.embedding_dim = embedding_dim
        self.scaled = has_unit_levels(assignments(self.config.assignment, self.config.num_levels))
        space = self.config.code_space
        self.quantizer = ResidualQuantizer(
            space.num_levels,
            space.codebook_size,
            self.config.assignment,
            self.config.balanced,
            trainable=False,
            name="quantizer",
        )
        self.quantizer.build((None, embedding_dim))
        self.mean = self.add_weight(name="mean", shape=(embedding_dim,), initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones", trainable=False)
        self.norms = self.add_weight(
            name="norms", shape=(space.num_levels,), initializer="ones", trainable=False
        )
        self(tf.zeros((1, embedding_dim)))

    def start(self, standardization: Standardization, levels: FittedLevels) -> None:
        """Sets what was fitted."""
        self.mean.assign(standardization.mean)
        self.scale.assign(standardization.scale)
        self.norms.assign(levels.norms)
        self.quantizer.codebooks.assign(levels.codebooks)
        if self.config.balanced:
            self.quantizer.prices.assign(levels.prices)

    def latent(self, embedding: tf.Tensor) -> tf.Tensor:
        centred = embedding - self.mean
        return centred / self.scale if self.scaled else centred

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        factors = tf.unstack(tf.math.cumprod(self.norms))
        words = self.quantizer.words(codes)
        total = tf.add_n([factor * word for factor, word in zip(factors, words, strict=True)])
        return total * self.scale + self.mean

    def get_config(self) -> dict[str, Any]:
        return {"embedding_dim": self.embedding_dim, "config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> ResidualKMeans:
        return cls(config["embedding_dim"], from_table(ResidualKMeansConfig, config["config"]))
