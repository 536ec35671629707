"""Fits residual k-means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semid_tf.config import ResidualKMeansConfig
from semid_tf.quantizer.assignment import EUCLIDEAN, Assignment, assignments, has_unit_levels
from semid_tf.quantizer.balanced import balanced_clusters
from semid_tf.quantizer.checks import usable_items
from semid_tf.quantizer.fsq import fsq_clusters
from semid_tf.quantizer.initialization import fit_standardization, standardization_for
from semid_tf.quantizer.levels import Clustering, FittedLevels, fit_levels, kmeans_clusters
from semid_tf.quantizer.refinement import refine
from semid_tf.quantizer.residual_kmeans import ResidualKMeans


def fit_residual_kmeans(
    embeddings: np.ndarray, weights: np.ndarray | None = None, config: ResidualKMeansConfig | None = None
) -> ResidualKMeans:
    """Fits residual k-means on content embeddings, held in memory.

    The levels are clustered in turn; then, where all are plain Euclidean clusters, their codewords are
    refined together, see `refine`.

    Args:
        embeddings: float [n, embedding_dim], finite; n at least the largest codebook.
        weights: float [n], not negative; None = all alike. Items of weight 0 have no influence.
        config: see `ResidualKMeansConfig`.

    Raises:
        ConfigError: `fsq_sizes` names more axes than there are dimensions.
        DataError: the embeddings cannot be used.
    """
    config = config or ResidualKMeansConfig()
    items = usable_items(embeddings, weights, config.code_space)
    standardization = fit_standardization(items.embeddings, items.weights)
    parts = assignments(config.assignment, config.num_levels)
    standardization = standardization_for(parts, standardization)
    if not has_unit_levels(parts):
        standardization = standardization._replace(scale=1.0)
    points = (items.embeddings - standardization.mean) / standardization.scale
    levels = fit_levels(
        points, items.weights, config.code_space, parts, _clusterings(config, parts), config.seed
    )
    if config.assignment == EUCLIDEAN and not config.balanced and not config.fsq_sizes:
        levels = _refined(points, items.weights, levels, config)
    model = ResidualKMeans(embeddings.shape[1], config)
    model.start(standardization, levels)
    return model


def _clusterings(config: ResidualKMeansConfig, parts: Sequence[Assignment]) -> list[Clustering]:
    plain = [kmeans_clusters(config.iterations)] * config.num_levels
    all_levels = [balanced_clusters(config.iterations, part) for part in parts] if config.balanced else plain
    return [*all_levels[:-1], fsq_clusters(config.fsq_sizes)] if config.fsq_sizes else all_levels


def _refined(
    points: np.ndarray, weights: np.ndarray, levels: FittedLevels, config: ResidualKMeansConfig
) -> FittedLevels:
    sizes = config.code_space.codebook_sizes
    books = [book[:size] for book, size in zip(levels.codebooks, sizes, strict=True)]
    codebooks = np.zeros_like(levels.codebooks)
    for level, book in enumerate(refine(points, weights, books, config.refinements)):
        codebooks[level, : len(book)] = book
    return levels._replace(codebooks=codebooks)
