"""Starts: PCA for encoder and decoder, residual k-means for the codebooks."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning


class Standardization(NamedTuple):
    """x -> (x - mean) / scale; mean float32 [dim], one scale for all dimensions, so that angles stay."""

    mean: np.ndarray
    scale: float


def fit_standardization(embeddings: np.ndarray, weights: np.ndarray) -> Standardization:
    """Weighted mean, and the root of the mean variance (1 where the embeddings are constant)."""
    mean = np.average(embeddings, axis=0, weights=weights)
    variance = np.average(np.square(embeddings - mean).mean(axis=1), weights=weights)
    return Standardization(mean.astype(np.float32), float(np.sqrt(variance)) or 1.0)


def principal_axes(inputs: np.ndarray, weights: np.ndarray, latent_dim: int) -> np.ndarray:
    """The axes of largest weighted variance of centred inputs: float32 [dim, latent_dim], orthonormal."""
    covariance = (inputs * weights[:, None]).T @ inputs / weights.sum()
    _, axes = np.linalg.eigh(covariance.astype(np.float64))
    return np.ascontiguousarray(axes[:, ::-1][:, :latent_dim], dtype=np.float32)


def residual_kmeans(
    latent: np.ndarray, weights: np.ndarray, num_levels: int, codebook_size: int, iterations: int, seed: int
) -> np.ndarray:
    """Codebooks by k-means on what the earlier levels left: float32 [num_levels, codebook_size, dim]."""
    codebooks, residual = [], latent
    for level in range(num_levels):
        model = KMeans(codebook_size, n_init=1, max_iter=iterations, random_state=seed + level)
        with warnings.catch_warnings():
            # Fewer different residuals than codes: the spare codes are revived in training.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(residual, sample_weight=weights)
        codebooks.append(model.cluster_centers_)
        residual = residual - codebooks[-1][model.labels_]
    return np.stack(codebooks).astype(np.float32)
