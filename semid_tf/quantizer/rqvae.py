"""The RQ-VAE: frozen content embeddings become Semantic IDs (Singh et al. 2024, sec. 3.1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.config import RQVAEConfig, from_table
from semid_tf.quantizer.base import Quantizer
from semid_tf.quantizer.contrastive import co_occurrence_loss
from semid_tf.quantizer.ema import MovingAverages
from semid_tf.quantizer.estimators import ESTIMATORS
from semid_tf.quantizer.folding import ConstantEncoder, fold
from semid_tf.quantizer.initialization import Standardization
from semid_tf.quantizer.mean_loss import MeanLoss
from semid_tf.quantizer.regularization import CLEAN, Disturbance
from semid_tf.quantizer.replicas import global_sum
from semid_tf.quantizer.residual import Quantized, ResidualQuantizer
from semid_tf.quantizer.revival import revive
from semid_tf.quantizer.shortcut import LinearPlusMLP, LinearThenMLP
from semid_tf.quantizer.usage import batch_counts, batch_use, existing_codes

#: Widths of the hidden layers of encoder and decoder, where nothing says others.
HIDDEN_DIM, DECODER_DIM = 256, 1024
_FIRST = tf.VariableAggregation.ONLY_FIRST_REPLICA


class Pass(NamedTuple):
    """What a batch of embeddings became.

    Attributes:
        losses: float32 [n], of each item.
        quantized: what its levels chose.
        vectors: sum of the codewords with the gradient for the encoder, float32 [n, latent_dim].
    """

    losses: tf.Tensor
    quantized: Quantized
    vectors: tf.Tensor


class Learned(NamedTuple):
    """What a training step says of its batch, over all replicas.

    Attributes:
        loss: float32 [], for each number of an embedding.
        code_counts: int32 [num_levels, largest codebook], items of weight above 0 that chose each code.
        revived: int32 [num_levels], codes that were moved.
    """

    loss: tf.Tensor
    code_counts: tf.Tensor
    revived: tf.Tensor


@tf_keras.saving.register_keras_serializable("semid_tf")
class RQVAE(Quantizer):
    """Encoder, residual quantizer, decoder.

    Loss: mean ||x - x_hat||^2 + sum over levels of beta ||r_l - sg[e_l]||^2 + ||sg[r_l] - e_l||^2, of
    standardised embeddings, each item by its sample weight. The gradient passes the quantizer once, by
    default straight through: z = r_1 + sg[sum_l e_l - r_1]. Where a level chooses by cosine, r_l is brought
    to length 1 in its terms; where codebooks are moving averages, their term is left out. End to end, the
    reconstruction moves the codewords too: z = r_1 + sg[sum_l e_l - r_1] + sum_l e_l - sg[sum_l e_l].

    While it trains, the encoder sees noise and the decoder does without some of its hidden layer, see
    `Disturbance`.

    Trains on `(embeddings, labels, weights)`, labels unused, or on items seen together,
    `((embeddings, embeddings of their partners), labels, weights)`: then both are trained on, and
    `contrastive_weight` times `co_occurrence_loss` of their quantized vectors is added.

    Args:
        embedding_dim: dimension of the content embeddings.
        config: levels, codes, sizes and training; see `RQVAEConfig`.
    """

    config: RQVAEConfig

    def __init__(self, embedding_dim: int, config: RQVAEConfig | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config or RQVAEConfig()
        self.embedding_dim = embedding_dim
        self.latent_dim = min(self.config.latent_dim or embedding_dim, embedding_dim)
        self.encoder = LinearThenMLP(
            self.latent_dim, self.config.hidden_dim or HIDDEN_DIM, self.config.seed, name="encoder"
        )
        self.quantizer = ResidualQuantizer(
            self.config.num_levels,
            self.config.codebook_size,
            self.config.assignment,
            trainable=self.config.codebook_update != "ema",
            name="quantizer",
        )
        self.decoder = LinearPlusMLP(
            embedding_dim, self.config.decoder_dim or DECODER_DIM, self.config.seed + 1, name="decoder"
        )
        self.mean = self.add_weight(name="mean", shape=(embedding_dim,), initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones", trainable=False)
        self.input_noise = self.add_weight(name="input_noise", shape=(), initializer="zeros", trainable=False)
        self.commitment = self.add_weight(
            name="commitment",
            shape=(),
            initializer=tf_keras.initializers.Constant(self.config.commitment_weight),
            trainable=False,
        )
        self.hidden_dropout = 0.0
        self.idle_steps = self.add_weight(
            name="idle_steps",
            shape=(self.code_space.num_levels, self.code_space.largest),
            initializer="zeros",
            dtype=tf.int32,
            trainable=False,
            aggregation=_FIRST,
        )
        self._mean_loss = MeanLoss()
        self.averages = self._averages() if self.config.codebook_update == "ema" else None
        self.encoder.build((None, embedding_dim))
        self.quantizer.build((None, self.latent_dim))
        self(tf.zeros((1, embedding_dim)))

    @property
    def metrics(self) -> list[tf_keras.metrics.Metric]:
        return [*super().metrics, self._mean_loss.metric]

    def _averages(self) -> MovingAverages:
        per_code = self.config.batch_size / self.code_space.largest
        decay, epsilon = self.config.ema_decay, self.config.ema_epsilon
        return MovingAverages(self.code_space, self.latent_dim, decay, epsilon, per_code, name="averages")

    def start(self, standardization: Standardization, axes: np.ndarray, codebooks: np.ndarray) -> None:
        """Sets the start: standardisation, principal axes [embedding_dim, latent_dim], codebooks."""
        self.mean.assign(standardization.mean)
        self.scale.assign(standardization.scale)
        self.encoder.linear.kernel.assign(axes)
        self.decoder.linear.kernel.assign(axes.T)
        self.quantizer.codebooks.assign(codebooks)
        self.restart_averages()

    def restart_averages(self) -> None:
        """Lets moving averages, if there are any, begin from the present codewords: after any other move."""
        if self.averages is not None:
            self.averages.restart(self.quantizer)

    def standardize(self, embedding: tf.Tensor) -> tf.Tensor:
        """(embedding - mean) / scale."""
        return (embedding - self.mean) / self.scale

    def latent(self, embedding: tf.Tensor) -> tf.Tensor:
        weights = fold(self.encoder, self.mean, self.scale)
        return weights.encode(embedding - weights.shift)

    def constant_latent(self) -> Callable[[tf.Tensor], tf.Tensor]:
        return ConstantEncoder(fold(self.encoder, self.mean, self.scale))

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        return self.decoder(self.quantizer.decode(codes)) * self.scale + self.mean

    def losses_of(self, embedding: tf.Tensor) -> tuple[tf.Tensor, Quantized]:
        """Loss of each item, float32 [n], and what its levels chose."""
        return self._pass(embedding)[:2]

    def _pass(
        self, embedding: tf.Tensor, levels: tf.Tensor | None = None, disturbance: Disturbance = CLEAN
    ) -> Pass:
        """Through encoder, quantizer and decoder, with all levels or those marked in bool [num_levels]."""
        inputs = self.standardize(embedding)
        latent = self.encoder(disturbance.noise(inputs))
        quantized = self.quantizer(latent, self.config.training_beam_width or 1)
        level_losses, codewords = self._level_losses(quantized), quantized.codewords
        if levels is not None:
            level_losses = tf.where(levels[:, None], level_losses, 0.0)
            codewords = tf.where(levels[:, None, None], codewords, 0.0)
        total = tf.reduce_sum(codewords, axis=0)
        vectors = ESTIMATORS[self.config.gradient](latent, total)
        if self.config.codebook_update == "end_to_end":
            vectors += total - tf.stop_gradient(total)
        restored = self.decoder.disturbed(vectors, disturbance.drop)
        losses = _squared_error(inputs, restored) + tf.reduce_sum(level_losses, axis=0)
        return Pass(losses, quantized, vectors)

    def _level_losses(self, quantized: Quantized) -> tf.Tensor:
        """Commitment and codebook loss, float32 [num_levels, n]."""
        commitment = _squared_error(quantized.inputs, tf.stop_gradient(quantized.codewords))
        if self.averages is not None:
            return self.commitment * commitment
        codebook = _squared_error(tf.stop_gradient(quantized.inputs), quantized.codewords)
        return self.commitment * commitment + codebook

    def _batch(
        self,
        items: Any,
        weights: tf.Tensor | None,
        levels: tf.Tensor | None = None,
        disturbance: Disturbance = CLEAN,
    ) -> tuple[tf.Tensor, Quantized, tf.Tensor]:
        """Loss of a batch, what its items chose, and their weights."""
        paired = isinstance(items, tuple | list)
        weights = _weights_of(items, weights)
        embedding, weights = (tf.concat(items, 0), tf.tile(weights, [2])) if paired else (items, weights)
        # Times 0 would not do: what rows that do not count hold may be no number.
        embedding = tf.where(weights[:, None] > 0, embedding, self.mean)
        result = self._pass(embedding, levels, disturbance)
        loss = _weighted_mean(result.losses, weights)
        if paired:
            loss += self.config.contrastive_weight * self._together(result.vectors, weights)
        return loss, result.quantized, weights

    def _together(self, vectors: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        first, second = tf.split(vectors, 2)
        weights = tf.split(weights, 2)[0]
        losses = co_occurrence_loss(first, second, weights, self.config.contrastive_temperature)
        return _weighted_mean(losses, weights)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        items, _, weights = tf_keras.utils.unpack_x_y_sample_weight(data)
        weights = _weights_of(items, weights)
        return self._mean_loss.add(self.learn(items, weights).loss, tf.reduce_sum(weights))

    def learn(self, items: Any, weights: tf.Tensor | None = None) -> Learned:
        """One training step; under a distribution strategy on this replica's share of the batch.

        Pairs have as negatives those of the same share.

        Args:
            items: float32 [n, embedding_dim], or two of them: items seen together.
            weights: float32 [n], not negative; None = all alike.
        """
        levels = self._levels_of_step()
        with tf.GradientTape() as tape:
            loss, quantized, weights = self._batch(items, weights, levels, self._disturbance())
        variables = self.trainable_variables
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        counts = batch_counts(quantized.codes, weights, self.code_space)
        if self.averages is not None:
            use = batch_use(quantized, weights, self.code_space)
            self.averages.update(self.quantizer, use, levels)
        revived = self._revive(quantized, weights, counts, levels)
        return Learned(global_sum(loss) / self.embedding_dim, counts, revived)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        items, _, weights = tf_keras.utils.unpack_x_y_sample_weight(data)
        weights = _weights_of(items, weights)
        loss = global_sum(self._batch(items, weights)[0]) / self.embedding_dim
        return self._mean_loss.add(loss, tf.reduce_sum(weights))

    def _seed(self, purpose: int) -> tf.Tensor:
        """For draws of this step: a resumed run draws what an unbroken one would have drawn."""
        return tf.stack([4 * self.config.seed + purpose, tf.cast(self.optimizer.iterations, tf.int32)])

    def _disturbance(self) -> Disturbance:
        """Noise and dropout of this step; an item meets the same on however many replicas."""
        return Disturbance.of(self.input_noise, self.hidden_dropout, self._seed(2), self._seed(3))

    def _levels_of_step(self) -> tf.Tensor | None:
        """With progressive levels the first r, r uniform, as PLUM does: bool [num_levels]; None = all."""
        if not self.config.progressive_levels:
            return None
        levels = self.code_space.num_levels
        return tf.range(levels) <= tf.random.stateless_uniform((), self._seed(1), 0, levels, tf.int32)

    def _revive(
        self, quantized: Quantized, weights: tf.Tensor, counts: tf.Tensor, levels: tf.Tensor | None
    ) -> tf.Tensor:
        """Revives codes that have been idle too long; how many moved at each level, int32 [num_levels]."""
        idle = tf.where(counts > 0, 0, self.idle_steps + 1)
        if levels is not None:
            idle = tf.where(levels[:, None], idle, self.idle_steps)
        dead = idle >= self.config.revive_after_steps
        if self.averages is not None:
            dead |= self.averages.counts < self.config.revive_below
        dead &= existing_codes(self.code_space)
        moved = revive(self.quantizer, dead, quantized, weights, self._seed(0))
        self.idle_steps.assign(tf.where(moved, 0, idle))
        if self.averages is not None:
            self.averages.restart(self.quantizer, moved)
        return tf.reduce_sum(tf.cast(moved, tf.int32), axis=1)

    def get_config(self) -> dict[str, Any]:
        return {"embedding_dim": self.embedding_dim, "config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> RQVAE:
        return cls(config["embedding_dim"], from_table(RQVAEConfig, config["config"]))


def _weights_of(items: Any, weights: tf.Tensor | None) -> tf.Tensor:
    """Of each item, or pair of items; 1 where none are given: float32 [n]."""
    first = items[0] if isinstance(items, tuple | list) else items
    return tf.ones(tf.shape(first)[:1]) if weights is None else tf.cast(weights, tf.float32)


def _squared_error(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.math.squared_difference(a, b), axis=-1)


def _weighted_mean(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """This replica's part of the mean over the whole batch: the parts add up to it."""
    total = global_sum(tf.reduce_sum(weights))
    return tf.math.divide_no_nan(tf.reduce_sum(values * weights), tf.stop_gradient(total))
