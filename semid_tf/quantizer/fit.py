"""Fits an RQ-VAE: a start that is residual k-means in PCA space, then training that must improve on it."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.config import RQVAEConfig
from semid_tf.errors import DataError
from semid_tf.progress import FiniteLoss, ProgressBar
from semid_tf.quantizer.initialization import (
    fit_standardization,
    principal_axes,
    residual_kmeans,
    standardization_for,
)
from semid_tf.quantizer.metrics import normalized_mse
from semid_tf.quantizer.rqvae import RQVAE

_CHUNK = 4096
_JUDGED_ITEMS = 50_000


def fit_rqvae(
    embeddings: np.ndarray, weights: np.ndarray | None = None, config: RQVAEConfig | None = None
) -> RQVAE:
    """Trains an RQ-VAE on content embeddings.

    Starts from weighted PCA and residual k-means, trains by Adam, and keeps the weights of the epoch
    (the start included) that reconstruct best, so that the result is never worse than residual k-means.

    Args:
        embeddings: float32 [n, embedding_dim], finite; n at least codebook_size.
        weights: float [n], not negative; None = all alike. Items of weight 0 have no influence.
        config: see `RQVAEConfig`.

    Raises:
        DataError: the embeddings cannot be used.
        TrainingError: the loss is no longer finite.
    """
    config = config or RQVAEConfig()
    embeddings, weights = _checked(embeddings, weights, config)
    tf.random.set_seed(config.seed)
    model = start_rqvae(embeddings, weights, config)
    model.compile(tf_keras.optimizers.Adam(_schedule(len(embeddings), config)))
    keep_best = KeepBest(embeddings, weights, config.seed)
    progress = ProgressBar("train RQ-VAE", config.epochs)
    model.fit(
        _batches(embeddings, weights, config),
        epochs=config.epochs,
        verbose=0,
        callbacks=[tf_keras.callbacks.TerminateOnNaN(), FiniteLoss(), keep_best, progress],
    )
    return model


def _checked(
    embeddings: np.ndarray, weights: np.ndarray | None, config: RQVAEConfig
) -> tuple[np.ndarray, np.ndarray]:
    if embeddings.ndim != 2:
        raise DataError(f"embeddings have shape {list(embeddings.shape)}; [items, dimension] is needed.")
    weights = np.ones(len(embeddings), np.float32) if weights is None else np.asarray(weights, np.float32)
    if weights.shape != (len(embeddings),):
        raise DataError(
            f"weights have shape {list(weights.shape)}; [{len(embeddings)}] is needed, one an item."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError("weights must be finite and not negative.")
    kept = weights > 0
    embeddings, weights = np.asarray(embeddings, np.float32)[kept], weights[kept]
    if len(embeddings) < config.code_space.largest:
        raise DataError(
            f"{len(embeddings)} items are too few for codebook_size {config.code_space.largest}; lower it."
        )
    if not np.isfinite(embeddings).all():
        row = int(np.flatnonzero(kept)[~np.isfinite(embeddings).all(axis=1)][0])
        raise DataError(f"embeddings[{row}] is not finite; remove or mend that item.")
    if (embeddings == embeddings[0]).all():
        raise DataError("all embeddings are equal; items must differ for Semantic IDs to tell them apart.")
    return embeddings, weights / weights.mean()


def start_rqvae(embeddings: np.ndarray, weights: np.ndarray, config: RQVAEConfig) -> RQVAE:
    """An RQ-VAE that is residual k-means in PCA space."""
    model = RQVAE(embeddings.shape[1], config)
    standardization = standardization_for(
        model.quantizer.assignments, fit_standardization(embeddings, weights)
    )
    rows = _sample(len(embeddings), config.kmeans_items, config.seed)
    inputs = (embeddings[rows] - standardization.mean) / standardization.scale
    axes = principal_axes(inputs, weights[rows], model.latent_dim)
    codebooks = residual_kmeans(
        inputs @ axes,
        weights[rows],
        config.num_levels,
        config.codebook_size,
        config.kmeans_iterations,
        config.seed,
        config.assignment,
    )
    model.start(standardization, axes, codebooks)
    return model


def _sample(count: int, most: int, seed: int) -> np.ndarray:
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def _schedule(count: int, config: RQVAEConfig) -> tf_keras.optimizers.schedules.CosineDecay:
    steps = math.ceil(count / config.batch_size) * config.epochs
    return tf_keras.optimizers.schedules.CosineDecay(config.learning_rate, max(steps, 1))


def _batches(embeddings: np.ndarray, weights: np.ndarray, config: RQVAEConfig) -> tf.data.Dataset:
    def take(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        batch, weight = tf.numpy_function(
            lambda index: (embeddings[index], weights[index]), [rows], (tf.float32, tf.float32)
        )
        batch.set_shape((None, embeddings.shape[1]))
        weight.set_shape((None,))
        return batch, weight, weight

    rows = tf.data.Dataset.range(len(embeddings)).shuffle(len(embeddings), config.seed)
    return rows.batch(config.batch_size).map(take).prefetch(tf.data.AUTOTUNE)


class KeepBest(tf_keras.callbacks.Callback):
    """Keeps the weights of the epoch, the start included, with the least weighted reconstruction error."""

    def __init__(self, embeddings: np.ndarray, weights: np.ndarray, seed: int) -> None:
        super().__init__()
        rows = _sample(len(embeddings), _JUDGED_ITEMS, seed)
        self.embeddings, self.weights_of_items = embeddings[rows], weights[rows]
        self.best_error, self.best_weights = math.inf, None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._judge = tf.function(self.model.call)
        self._keep_if_better()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        error = self._keep_if_better()
        if logs is not None:
            logs["normalized_mse"] = error

    def on_train_end(self, logs: dict | None = None) -> None:
        self.model.set_weights(self.best_weights)

    def _keep_if_better(self) -> float:
        chunks = range(0, len(self.embeddings), _CHUNK)
        restored = np.concatenate([self._judge(self.embeddings[i : i + _CHUNK]).numpy() for i in chunks])
        error = normalized_mse(self.embeddings, restored, self.weights_of_items)
        if error < self.best_error:
            self.best_error, self.best_weights = error, self.model.get_weights()
        return error
