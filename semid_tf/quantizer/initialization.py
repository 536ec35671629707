"""Starts: PCA for encoder and decoder, residual k-means for the codebooks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semid_tf.config import CodeSpace
from semid_tf.quantizer.kmeans import weighted_kmeans


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
    latent: np.ndarray,
    weights: np.ndarray,
    num_levels: int,
    codebook_size: int | tuple[int, ...],
    iterations: int,
    seed: int,
) -> np.ndarray:
    """Codebooks by k-means on what the earlier levels left: float32 [num_levels, largest codebook, dim]."""
    space, residual = CodeSpace(num_levels, codebook_size), latent
    codebooks = np.zeros((num_levels, space.largest, latent.shape[1]), np.float32)
    for level, size in enumerate(space.codebook_sizes):
        centres, nearest = weighted_kmeans(residual, weights, size, iterations, seed + level)
        codebooks[level, :size] = centres
        residual = residual - centres[nearest]
    return codebooks
