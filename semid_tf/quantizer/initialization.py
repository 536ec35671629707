"""Starts: PCA for encoder and decoder, residual k-means for the codebooks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from semid_tf.config import CodeSpace
from semid_tf.quantizer.assignment import EUCLIDEAN, Assignment, Cosine, assignments
from semid_tf.quantizer.levels import fit_levels, kmeans_levels
from semid_tf.quantizer.survey import Moments, moments_of

_MOST_LOST, _FEW_BITS, _BITS_TO_HALVE, _WORTH_AN_AXIS = 0.05, 32, 16, 0.001


class Standardization(NamedTuple):
    """x -> (x - mean) / scale; mean float32 [dim], one scale for all dimensions, so that angles stay."""

    mean: np.ndarray
    scale: float


def fit_standardization(embeddings: np.ndarray, weights: np.ndarray) -> Standardization:
    """The standardisation of embeddings in memory, float [n, dim], with weights [n].

    Unlike `standardization_of` it needs no covariance, and so costs but two passes.
    """
    mean = np.average(embeddings, axis=0, weights=weights)
    variance = np.average(np.square(embeddings - mean).mean(axis=1), weights=weights)
    return _standardization(mean, variance)


def standardization_of(moments: Moments) -> Standardization:
    """Mean, and the root of the mean variance (1 where the embeddings are constant)."""
    return _standardization(moments.mean, np.trace(moments.covariance) / len(moments.mean))


def _standardization(mean: np.ndarray, variance: float) -> Standardization:
    return Standardization(mean.astype(np.float32), float(np.sqrt(max(variance, 0.0))) or 1.0)


def standardization_for(parts: Sequence[Assignment], standardization: Standardization) -> Standardization:
    """Where codewords have length 1, scaled to a mean length of 2 (1 with one such level); else as it is.

    Unit codewords of several levels add up: of mean lengths from 1 to 3, 2 left the least squared error and
    the fewest collisions after residual k-means with 2 and 3 such levels.
    """
    unit_levels = sum(isinstance(part, Cosine) for part in parts)
    if not unit_levels:
        return standardization
    root = len(standardization.mean) ** 0.5
    return standardization._replace(scale=standardization.scale * root / min(2, unit_levels))


class PrincipalAxes(NamedTuple):
    """Orthonormal axes, those of largest variance first.

    Attributes:
        variances: float64 [dim], falling.
        axes: float32 [dim, dim], one a column.
    """

    variances: np.ndarray
    axes: np.ndarray

    def first(self, count: int) -> np.ndarray:
        """Float32 [dim, count]."""
        return np.ascontiguousarray(self.axes[:, :count])


def principal_axes(inputs: np.ndarray, weights: np.ndarray) -> PrincipalAxes:
    """The principal axes of inputs in memory, float [n, dim], with weights [n]."""
    return principal_axes_of(moments_of(inputs, weights))


def principal_axes_of(moments: Moments) -> PrincipalAxes:
    """The principal axes of what has these moments."""
    variances, axes = np.linalg.eigh(moments.covariance)
    return PrincipalAxes(variances[::-1], axes[:, ::-1].astype(np.float32))


def num_axes(variances: np.ndarray, share: float, worth: float = 1.0) -> int:
    """The fewest axes, by falling variances, that hold a share; and all that each hold `worth` of the sum.

    >>> variances = np.array([3.0, 1.0, 0.0])
    >>> num_axes(variances, 0.7), num_axes(variances, 0.7, worth=0.05)
    (1, 2)
    """
    held = np.cumsum(variances)
    return max(int(np.searchsorted(held, share * held[-1]) + 1), int((variances > worth * held[-1]).sum()))


def axes_for(variances: np.ndarray, space: CodeSpace) -> int:
    """Principal axes worth coding in: those that hold 95 % of the variance, and all that hold a thousandth.

    What is lost is little beside what the codes leave, which is the less the more bits an item has: of more
    than 32 bits, half as much may be lost with each 16.
    """
    bits = sum(math.log2(size) for size in space.codebook_sizes)
    lost = _MOST_LOST * 2 ** min(0.0, (_FEW_BITS - bits) / _BITS_TO_HALVE)
    return num_axes(variances, 1 - lost, _WORTH_AN_AXIS)


def residual_kmeans(
    latent: np.ndarray,
    weights: np.ndarray,
    num_levels: int,
    codebook_size: int | tuple[int, ...],
    iterations: int,
    seed: int,
    assignment: str = EUCLIDEAN,
) -> np.ndarray:
    """Codebooks by k-means on what the earlier levels left: float32 [num_levels, largest codebook, dim]."""
    space, parts = CodeSpace(num_levels, codebook_size), assignments(assignment, num_levels)
    clusterings = kmeans_levels(num_levels, iterations)
    return fit_levels(latent, weights, space, parts, clusterings, seed).codebooks
