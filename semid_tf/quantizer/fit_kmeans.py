"""Fits residual k-means."""

from __future__ import annotations

import numpy as np

from semid_tf.config import ResidualKMeansConfig
from semid_tf.data.embedding_source import EmbeddingSource, WeightedRows
from semid_tf.quantizer.assignment import EUCLIDEAN, assignments, has_unit_levels
from semid_tf.quantizer.balanced import balanced_clusters
from semid_tf.quantizer.checks import refuse_weights, require_usable, usable_items
from semid_tf.quantizer.chunks import in_chunks
from semid_tf.quantizer.collapse import OF_CLUSTERS, warn_of_collapse
from semid_tf.quantizer.fsq import fsq_clusters
from semid_tf.quantizer.initialization import (
    Standardization,
    axes_for,
    fit_standardization,
    num_axes,
    principal_axes_of,
    standardization_for,
    standardization_of,
)
from semid_tf.quantizer.kmeans import means
from semid_tf.quantizer.levels import Clustering, FittedLevels, fit_levels, kmeans_levels
from semid_tf.quantizer.metrics import code_counts
from semid_tf.quantizer.refinement import refine
from semid_tf.quantizer.residual_kmeans import ResidualKMeans
from semid_tf.quantizer.survey import moments_of, some_of, survey

_NEXT_TO_ALL, _ITEMS_FOR_AXES = 0.9995, 20_000


def fit_residual_kmeans(
    embeddings: np.ndarray | EmbeddingSource,
    weights: np.ndarray | None = None,
    config: ResidualKMeansConfig | None = None,
) -> ResidualKMeans:
    """Fits residual k-means on content embeddings.

    The levels are clustered in turn; then, where all are plain Euclidean clusters, their codewords are
    refined together, see `refine`.

    Args:
        embeddings: float [n, embedding_dim], finite; n at least the largest codebook. Or a source larger than
            memory, such as `ParquetEmbeddings`: of it a sample is clustered, see `kmeans_items`.
        weights: float [n], not negative; None = all alike. Items of weight 0 have no influence. A source
            brings its own.
        config: see `ResidualKMeansConfig`.

    Raises:
        ConfigError: `fsq_sizes` names more axes than there are dimensions; there are weights beside a source.
        DataError: the embeddings cannot be used.

    Warns:
        CodebookCollapseWarning: for each level that ends with too few codes in use.
    """
    config = config or ResidualKMeansConfig()
    items, standardization = _known(embeddings, weights, config)
    parts = assignments(config.assignment, config.num_levels)
    standardization = standardization_for(parts, standardization)
    if not has_unit_levels(parts):
        standardization = standardization._replace(scale=1.0)
    points = (items.embeddings - standardization.mean) / standardization.scale
    plain = config.assignment == EUCLIDEAN and not config.balanced and not config.fsq_sizes
    levels = (_refined_on_axes if plain else _in_turn)(WeightedRows(points, items.weights), config)
    model = ResidualKMeans(points.shape[1], config)
    model.start(standardization, levels)
    _warn_if_collapsed(model, some_of(items, config.kmeans_items, config.seed))
    return model


def _known(
    embeddings: np.ndarray | EmbeddingSource, weights: np.ndarray | None, config: ResidualKMeansConfig
) -> tuple[WeightedRows, Standardization]:
    """Items to cluster, of weight 1 on average, and the standardisation of all."""
    if not isinstance(embeddings, EmbeddingSource):
        items = usable_items(embeddings, weights, config.code_space)
        return items, fit_standardization(items.embeddings, items.weights)
    refuse_weights(weights)
    found = survey(embeddings, config.kmeans_items, config.seed)
    require_usable(found.num_items, found.all_equal, config.code_space)
    rows, weights = found.sample
    return WeightedRows(rows, weights / weights.mean()), standardization_of(found.moments)


def _warn_if_collapsed(model: ResidualKMeans, items: WeightedRows) -> None:
    counts = code_counts(in_chunks(model.encode, items.embeddings), model.code_space)
    warn_of_collapse("", counts, items.embeddings, model.code_space, OF_CLUSTERS)


def _clusterings(config: ResidualKMeansConfig) -> list[Clustering]:
    count = config.num_levels
    plain, balanced = kmeans_levels(count, config.iterations), [balanced_clusters(config.iterations)] * count
    all_levels = balanced if config.balanced else plain
    return [*all_levels[:-1], fsq_clusters(config.fsq_sizes)] if config.fsq_sizes else all_levels


def _in_turn(rows: WeightedRows, config: ResidualKMeansConfig) -> FittedLevels:
    parts = assignments(config.assignment, config.num_levels)
    return fit_levels(*rows, config.code_space, parts, _clusterings(config), config.seed)


def _refined_on_axes(rows: WeightedRows, config: ResidualKMeansConfig) -> FittedLevels:
    """Levels in turn on the principal axes of `axes_for`, then refined on those that hold next to all."""
    moments = moments_of(*some_of(rows, _ITEMS_FOR_AXES, config.seed))
    variances, _ = principal = principal_axes_of(moments)
    axes = principal.first(num_axes(variances, _NEXT_TO_ALL))
    turned, first = rows.embeddings @ axes, min(axes.shape[1], axes_for(variances, config.code_space))
    levels = _in_turn(WeightedRows(np.ascontiguousarray(turned[:, :first]), rows.weights), config)
    codebooks = np.pad(levels.codebooks, ((0, 0), (0, 0), (0, axes.shape[1] - first)))
    books = _means(turned, rows.weights, levels.codes, codebooks, config)
    for level, book in enumerate(refine(turned, rows.weights, books, config.refinements)):
        codebooks[level, : len(book)] = book
    return levels._replace(codebooks=codebooks @ axes.T)


def _means(
    points: np.ndarray,
    weights: np.ndarray,
    codes: np.ndarray,
    codebooks: np.ndarray,
    config: ResidualKMeansConfig,
) -> list[np.ndarray]:
    """Codewords moved to the mean of what the levels before them leave of their points."""
    books: list[np.ndarray] = []
    for size, code, book in zip(config.code_space.codebook_sizes, codes.T, codebooks, strict=True):
        books.append(means(points, weights, code, book[:size]))
        points = points - books[-1][code]
    return books
