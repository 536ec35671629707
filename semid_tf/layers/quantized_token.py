"""The semantic token: content quantized inside the recommender that uses it (Lin et al. 2025)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.config import CodeSpace
from semid_tf.layers.counted_seed import CountedSeed
from semid_tf.quantizer.assignment import HYBRID
from semid_tf.quantizer.checks import require_usable
from semid_tf.quantizer.ema import MovingAverages
from semid_tf.quantizer.estimators import straight_through
from semid_tf.quantizer.initialization import residual_kmeans
from semid_tf.quantizer.residual import Quantized, ResidualQuantizer
from semid_tf.quantizer.revival import revive
from semid_tf.quantizer.usage import batch_use, existing_codes


@tf_keras.saving.register_keras_serializable("semid_tf")
class QuantizedToken(tf_keras.layers.Layer):
    """The semantic token of Lin et al. 2025: content, encoded, quantized level by level, and decoded again.

    In training it adds its loss: reconstruction, sum over dimensions of (x_hat - x)^2, and each level's
    commitment, mean over dimensions of (sg[q_l] - input_l)^2, both as the weighted mean over the items. The
    codebooks are moving averages; a code whose count falls below `revive_below` moves to a random item's.
    While the layer is not `trainable` it only looks up, as the second of two stages does.

    Args:
        embedding_dim: of the content.
        code_space: levels and codes.
        dim: of the token.
        hidden_dims: of the encoder; the decoder has them in reverse.
        assignment: `hybrid` (cosine on all levels but the last, which is Euclidean), `cosine`, `euclidean`.
        reconstruction_weight, commitment_weight: of the two parts of the loss.
        ema_decay: of the codebooks.
        revive_below: moving count, in items of a batch.
        seed: fixes start and draws.
    """

    def __init__(
        self,
        embedding_dim: int,
        code_space: CodeSpace,
        dim: int = 64,
        hidden_dims: tuple[int, ...] = (512, 256),
        assignment: str = HYBRID,
        reconstruction_weight: float = 1.0,
        commitment_weight: float = 1.0,
        ema_decay: float = 0.8,
        revive_below: float = 2.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.embedding_dim, self.code_space, self.dim = embedding_dim, code_space, dim
        self.hidden_dims, self.assignment = tuple(hidden_dims), assignment
        self.reconstruction_weight, self.commitment_weight = reconstruction_weight, commitment_weight
        self.ema_decay, self.revive_below, self.seed = ema_decay, revive_below, seed
        self.draws = CountedSeed(seed)
        self.encoder = _mlp((*self.hidden_dims, dim), seed, "encoder")
        self.decoder = _mlp((*self.hidden_dims[::-1], embedding_dim), seed + 50, "decoder")
        self.quantizer = ResidualQuantizer(
            code_space.num_levels, code_space.codebook_size, assignment, trainable=False, name="quantizer"
        )
        self.averages = MovingAverages(
            code_space, dim, ema_decay, 1e-5, start_count=2 * revive_below, name="averages"
        )

    def build(self, input_shape: Any) -> None:
        self.encoder.build((None, self.embedding_dim))
        self.decoder.build((None, self.dim))
        self.quantizer.build((None, self.dim))
        super().build(input_shape)

    def start(self, embeddings: np.ndarray, weights: np.ndarray, iterations: int = 10) -> None:
        """Sets the codebooks by residual k-means on encoded items.

        Args:
            embeddings: float32 [n, embedding_dim].
            weights: float32 [n], such as how often each is trained on; items of weight 0 have no part. As
                many must have some as the largest codebook has codes.
            iterations: of k-means, at most, a level and stage.

        Raises:
            DataError: too few items have weight; all their embeddings are equal.
        """
        content, space = embeddings[weights > 0], self.code_space
        require_usable(len(content), bool((content == content[:1]).all()), space)
        latent = self.encoder(tf.constant(content)).numpy()
        self.quantizer.codebooks.assign(
            residual_kmeans(
                latent,
                weights[weights > 0],
                space.num_levels,
                space.codebook_size,
                iterations,
                self.seed,
                self.assignment,
            )
        )
        self.averages.restart(self.quantizer)

    def codes(self, embedding: tf.Tensor) -> tf.Tensor:
        """Codes of content, float32 [n, embedding_dim]: int32 [n, num_levels]."""
        return self.quantizer.encode(self.encoder(embedding))

    def call(self, embedding: tf.Tensor, weights: tf.Tensor, training: bool = False) -> tf.Tensor:
        latent = self.encoder(embedding)
        quantized = self.quantizer(latent)
        vectors = straight_through(latent, tf.reduce_sum(quantized.codewords, axis=0))
        if training and self.trainable:
            self.add_loss(self._loss(embedding, vectors, quantized, weights))
            self._move_codebooks(quantized, weights)
        return vectors

    def _loss(
        self, embedding: tf.Tensor, vectors: tf.Tensor, quantized: Quantized, weights: tf.Tensor
    ) -> tf.Tensor:
        rows = tf.where(weights > 0)[:, 0]  # the decoder costs as much as the encoder: not for weight 0
        restored, original = self.decoder(tf.gather(vectors, rows)), tf.gather(embedding, rows)
        error = tf.reduce_sum(tf.math.squared_difference(restored, original), axis=-1)
        gaps = tf.math.squared_difference(quantized.inputs, tf.stop_gradient(quantized.codewords))
        commitment = tf.gather(tf.reduce_sum(tf.reduce_mean(gaps, axis=-1), axis=0), rows)
        losses = self.reconstruction_weight * error + self.commitment_weight * commitment
        weights = tf.gather(weights, rows)
        return tf.math.divide_no_nan(tf.reduce_sum(losses * weights), tf.reduce_sum(weights))

    def _move_codebooks(self, quantized: Quantized, weights: tf.Tensor) -> None:
        self.averages.update(self.quantizer, batch_use(quantized, weights, self.code_space))
        dead = (self.averages.counts < self.revive_below) & existing_codes(self.code_space)
        revived = revive(self.quantizer, dead, quantized, weights, self.draws.next())
        self.averages.restart(self.quantizer, revived)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "embedding_dim": self.embedding_dim,
            "code_space": {
                "num_levels": self.code_space.num_levels,
                "codebook_size": self.code_space.codebook_size,
            },
            "dim": self.dim,
            "hidden_dims": list(self.hidden_dims),
            "assignment": self.assignment,
            "reconstruction_weight": self.reconstruction_weight,
            "commitment_weight": self.commitment_weight,
            "ema_decay": self.ema_decay,
            "revive_below": self.revive_below,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> QuantizedToken:
        return cls(**config | {"code_space": CodeSpace(**config["code_space"])})


def _mlp(widths: tuple[int, ...], seed: int, name: str) -> tf_keras.Sequential:
    """Dense layers with ReLU between them, the last linear."""
    layers = [
        tf_keras.layers.Dense(
            width,
            "relu" if place < len(widths) - 1 else None,
            kernel_initializer=tf_keras.initializers.GlorotUniform(seed=seed + place),
        )
        for place, width in enumerate(widths)
    ]
    return tf_keras.Sequential(layers, name=name)
