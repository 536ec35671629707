"""The RQ-VAE: frozen content embeddings become Semantic IDs (Singh et al. 2024, sec. 3.1)."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.artifacts import fingerprint
from semid_tf.config import CodeSpace, RQVAEConfig, from_table
from semid_tf.quantizer.initialization import Standardization
from semid_tf.quantizer.replicas import global_sum, global_take, update_rows
from semid_tf.quantizer.residual import Quantized, ResidualQuantizer
from semid_tf.quantizer.shortcut import LinearPlusMLP


class Learned(NamedTuple):
    """What a training step says of its batch, over all replicas.

    Attributes:
        loss: float32 [], for each number of an embedding.
        code_counts: int32 [num_levels, codebook_size], items that chose each code.
        revived: int32 [num_levels], codes that were moved.
    """

    loss: tf.Tensor
    code_counts: tf.Tensor
    revived: tf.Tensor


@tf_keras.saving.register_keras_serializable("semid_tf")
class RQVAE(tf_keras.Model):
    """Encoder, residual quantizer, decoder.

    Loss: mean ||x - x_hat||^2 + sum over levels of beta ||r_l - sg[e_l]||^2 + ||sg[r_l] - e_l||^2, of
    standardised embeddings, each item by its sample weight. The gradient passes the quantizer once,
    straight through: z = r_1 + sg[sum_l e_l - r_1].

    Args:
        embedding_dim: dimension of the content embeddings.
        config: levels, codes, sizes and training; see `RQVAEConfig`.
    """

    def __init__(self, embedding_dim: int, config: RQVAEConfig | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config or RQVAEConfig()
        self.embedding_dim = embedding_dim
        self.latent_dim = min(self.config.latent_dim, embedding_dim)
        self.encoder = LinearPlusMLP(
            self.latent_dim, self.config.hidden_dim, self.config.seed, name="encoder"
        )
        self.quantizer = ResidualQuantizer(
            self.config.num_levels, self.config.codebook_size, name="quantizer"
        )
        self.decoder = LinearPlusMLP(
            embedding_dim, self.config.hidden_dim, self.config.seed + 1, name="decoder"
        )
        self.mean = self.add_weight(name="mean", shape=(embedding_dim,), initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones", trainable=False)
        self.idle_steps = self.add_weight(
            name="idle_steps",
            shape=(self.config.num_levels, self.config.codebook_size),
            initializer="zeros",
            dtype=tf.int32,
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        self(tf.zeros((1, embedding_dim)))

    @property
    def code_space(self) -> CodeSpace:
        """Levels and codes of the Semantic IDs."""
        return self.config.code_space

    @property
    def fingerprint(self) -> str:
        """Identifies settings and weights."""
        return fingerprint(self.get_config(), *self.get_weights())

    def start(self, standardization: Standardization, axes: np.ndarray, codebooks: np.ndarray) -> None:
        """Sets the start: standardisation, principal axes [embedding_dim, latent_dim], codebooks."""
        self.mean.assign(standardization.mean)
        self.scale.assign(standardization.scale)
        self.encoder.linear.kernel.assign(axes)
        self.decoder.linear.kernel.assign(axes.T)
        self.quantizer.codebooks.assign(codebooks)

    def standardize(self, embedding: tf.Tensor) -> tf.Tensor:
        """(embedding - mean) / scale."""
        return (embedding - self.mean) / self.scale

    def encode(self, embedding: tf.Tensor) -> tf.Tensor:
        """Codes of embeddings, float32 [n, embedding_dim]: int32 [n, num_levels], coarsest first."""
        return self.quantizer.encode(self.encoder(self.standardize(embedding)))

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Embeddings that codes, int32 [n, num_levels], stand for: float32 [n, embedding_dim]."""
        return self.decoder(self.quantizer.decode(codes)) * self.scale + self.mean

    def call(self, embedding: tf.Tensor) -> tf.Tensor:
        """The embedding after encoding and decoding, float32 [n, embedding_dim]."""
        codes = self.quantizer(self.encoder(self.standardize(embedding))).codes
        return self.decode(codes)

    def losses_of(self, embedding: tf.Tensor) -> tuple[tf.Tensor, Quantized]:
        """Loss of each item, float32 [n], and what its levels chose."""
        inputs = self.standardize(embedding)
        latent = self.encoder(inputs)
        quantized = self.quantizer(latent)
        total = tf.reduce_sum(quantized.codewords, axis=0)
        reconstructed = self.decoder(latent + tf.stop_gradient(total - latent))
        commitment = _squared_error(quantized.residuals, tf.stop_gradient(quantized.codewords))
        codebook = _squared_error(tf.stop_gradient(quantized.residuals), quantized.codewords)
        levels = tf.reduce_sum(self.config.commitment_weight * commitment + codebook, axis=0)
        return _squared_error(inputs, reconstructed) + levels, quantized

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        embedding, _, weight = tf_keras.utils.unpack_x_y_sample_weight(data)
        return {"loss": self.learn(embedding, weight).loss}

    def learn(self, embedding: tf.Tensor, weight: tf.Tensor | None = None) -> Learned:
        """One training step; under a distribution strategy on this replica's share of the batch.

        Args:
            embedding: float32 [n, embedding_dim].
            weight: float32 [n], not negative; None = all alike.
        """
        with tf.GradientTape() as tape:
            losses, quantized = self.losses_of(embedding)
            loss = _weighted_mean(losses, weight)
        variables = self.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        counts = self._count(quantized.codes)
        return Learned(global_sum(loss) / self.embedding_dim, counts, self._revive(quantized, counts))

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        embedding, _, weight = tf_keras.utils.unpack_x_y_sample_weight(data)
        loss = global_sum(_weighted_mean(self.losses_of(embedding)[0], weight))
        return {"loss": loss / self.embedding_dim}

    def _count(self, codes: tf.Tensor) -> tf.Tensor:
        """Items of the batch that chose each code: int32 [num_levels, codebook_size]."""
        levels, size = self.idle_steps.shape
        places = tf.reshape(codes + size * tf.range(levels), [-1])
        counts = tf.math.bincount(places, minlength=levels * size, maxlength=levels * size)
        return global_sum(tf.reshape(counts, (levels, size)))

    def _revive(self, quantized: Quantized, counts: tf.Tensor) -> tf.Tensor:
        """Moves each code that was idle too long onto a random residual of its level (SoundStream's rule).

        The draw is fixed by the seed and the number of the step. Returns the codes moved: int32 [num_levels].
        """
        idle = tf.where(counts > 0, 0, self.idle_steps + 1)
        dead = idle >= self.config.revive_after_steps
        self.idle_steps.assign(tf.where(dead, 0, idle))
        places_of_dead = tf.cast(tf.where(dead), tf.int32)
        rows = tf.random.stateless_uniform(
            (tf.shape(places_of_dead)[0],),
            tf.stack([tf.constant(self.config.seed, tf.int64), tf.cast(self.optimizer.iterations, tf.int64)]),
            0,
            global_sum(tf.shape(quantized.codes)[0]),
            tf.int32,
        )
        drawn = global_take(quantized.residuals, places_of_dead[:, 0], rows)
        update_rows(self.quantizer.codebooks, places_of_dead, drawn)
        return tf.reduce_sum(tf.cast(dead, tf.int32), axis=1)

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Nothing to do: a model is built when it is made."""

    def get_config(self) -> dict[str, Any]:
        return {"embedding_dim": self.embedding_dim, "config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> RQVAE:
        return cls(config["embedding_dim"], from_table(RQVAEConfig, config["config"]))


def _squared_error(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.math.squared_difference(a, b), axis=-1)


def _weighted_mean(values: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
    """This replica's part of the mean over the whole batch: the parts add up to it."""
    weights = tf.ones_like(values) if weights is None else tf.cast(weights, values.dtype)
    return tf.math.divide_no_nan(
        tf.reduce_sum(values * weights), tf.stop_gradient(global_sum(tf.reduce_sum(weights)))
    )
