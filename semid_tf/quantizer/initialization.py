"""Starts: PCA for encoder and decoder, residual k-means for the codebooks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semid_tf.quantizer.kmeans import weighted_kmeans
from semid_tf.quantizer.survey import Moments, moments_of


class Standardization(NamedTuple):
    """x -> (x - mean) / scale; mean float32 [dim], one scale for all dimensions, so that angles stay."""

    mean: np.ndarray
    scale: float


def fit_standardization(embeddings: np.ndarray, weights: np.ndarray) -> Standardization:
    """The standardisation of embeddings in memory, float [n, dim], with weights [n]."""
    return standardization_of(moments_of(embeddings, weights))


def standardization_of(moments: Moments) -> Standardization:
    """Mean, and the root of the mean variance (1 where the embeddings are constant)."""
    variance = np.trace(moments.covariance) / len(moments.mean)
    return Standardization(moments.mean.astype(np.float32), float(np.sqrt(max(variance, 0.0))) or 1.0)


def principal_axes(inputs: np.ndarray, weights: np.ndarray, latent_dim: int) -> np.ndarray:
    """The principal axes of inputs in memory, float [n, dim], with weights [n]."""
    return principal_axes_of(moments_of(inputs, weights), latent_dim)


def principal_axes_of(moments: Moments, latent_dim: int) -> np.ndarray:
    """The axes of largest variance: float32 [dim, latent_dim], orthonormal."""
    _, axes = np.linalg.eigh(moments.covariance)
    return np.ascontiguousarray(axes[:, ::-1][:, :latent_dim], dtype=np.float32)


def residual_kmeans(
    latent: np.ndarray, weights: np.ndarray, num_levels: int, codebook_size: int, iterations: int, seed: int
) -> np.ndarray:
    """Codebooks by k-means on what the earlier levels left: float32 [num_levels, codebook_size, dim]."""
    codebooks, residual = [], latent
    for level in range(num_levels):
        centres, nearest = weighted_kmeans(residual, weights, codebook_size, iterations, seed + level)
        codebooks.append(centres)
        residual = residual - centres[nearest]
    return np.stack(codebooks)
