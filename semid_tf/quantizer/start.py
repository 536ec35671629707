"""The start of an RQ-VAE: residual k-means in PCA space."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from semid_tf.config import CodeSpace, RQVAEConfig
from semid_tf.data.embedding_source import WeightedRows, taken
from semid_tf.quantizer.assignment import EUCLIDEAN
from semid_tf.quantizer.beam import beam_codes, beam_width_for, squared_error
from semid_tf.quantizer.chunks import in_chunks
from semid_tf.quantizer.commitment import commitment_for
from semid_tf.quantizer.idle_codes import use_idle_codes
from semid_tf.quantizer.initialization import (
    principal_axes_of,
    residual_kmeans,
    standardization_for,
    standardization_of,
)
from semid_tf.quantizer.metrics import normalized_mse
from semid_tf.quantizer.paths import fit_on_paths
from semid_tf.quantizer.refinement import refine
from semid_tf.quantizer.regularization import noise_for
from semid_tf.quantizer.replicas import copy_from_first_replica
from semid_tf.quantizer.rqvae import RQVAE
from semid_tf.quantizer.search import search_level
from semid_tf.quantizer.survey import Survey, some_of

_HELD_OUT, _MOST_HELD_OUT = 0.05, 1000
_ITEMS_FOR_ERROR = 8192
_WIDTHS, _WIDTHS_OF_MANY_LEVELS = (1, 5), (2,)
_REFINEMENTS = 2


def start(model: RQVAE, found: Survey) -> None:
    """Sets a model's weights to PCA and residual k-means, noise and commitment by what that leaves."""
    config, (embeddings, weights) = model.config, found.sample
    standardization = standardization_for(model.quantizer.assignments, standardization_of(found.moments))
    axes = principal_axes_of(found.moments).first(model.latent_dim)
    latent = (embeddings - standardization.mean) / standardization.scale @ axes
    weights = weights * np.float32(found.num_items / found.moments.weight)
    rows = WeightedRows(latent, weights)
    codebooks = _codebooks(rows, config, model.beam_width)
    if (width := config.training_beam_width) > 1 and config.assignment == EUCLIDEAN:
        codebooks = _refined(rows, codebooks, config.code_space, width)
    model.start(standardization, axes, codebooks)
    use_idle_codes(model, found.sample)
    model.restart_averages()
    error = _error(model, found.sample)
    model.input_noise.assign(noise_for(config, found.num_items, error))
    model.commitment.assign(commitment_for(config, found.num_items, error))
    copy_from_first_replica(model.weights)


def _error(model: RQVAE, sample: WeightedRows) -> float:
    """Root of the normalised MSE over some of the items, drawn at random; 0 where they are all equal."""
    some = some_of(sample, _ITEMS_FOR_ERROR, model.config.seed)
    restored = in_chunks(tf.function(model.call, autograph=False), some.embeddings)
    error = normalized_mse(some.embeddings, restored, some.weights)
    return error**0.5 if math.isfinite(error) else 0.0


def _codebooks(rows: WeightedRows, config: RQVAEConfig, beam_width: int) -> np.ndarray:
    """Those of the start that leave the least of held-out items, coded by a beam of `beam_width`."""
    widths = _widths(config)
    fitted, held_out = _split(rows, config)
    if len(widths) == 1 or not len(held_out.weights):
        return _fit(rows, widths[0], config)
    fits = [_fit(fitted, width, config) for width in widths]
    return min(fits, key=lambda codebooks: _left(held_out, codebooks, config, beam_width))


def _refined(rows: WeightedRows, codebooks: np.ndarray, space: CodeSpace, beam_width: int) -> np.ndarray:
    """Codewords moved to what all other levels leave of the items that a beam gives them."""
    sizes, result = space.codebook_sizes, codebooks.copy()
    books = [book[:size] for book, size in zip(codebooks, sizes, strict=True)]
    for level, book in enumerate(refine(*rows, books, _REFINEMENTS, beam_width)):
        result[level, : len(book)] = book
    return result


def _widths(config: RQVAEConfig) -> tuple[int, ...]:
    if config.assignment != EUCLIDEAN:
        return (1,)
    few_levels = beam_width_for(config.num_levels) == 1
    return config.start_beams or (_WIDTHS if few_levels else _WIDTHS_OF_MANY_LEVELS)


def _split(rows: WeightedRows, config: RQVAEConfig) -> tuple[WeightedRows, WeightedRows]:
    """All but one item in twenty, at most 1,000, and these; items for all codes stay with the fit."""
    order = np.random.default_rng(config.seed).permutation(len(rows.weights))
    spared = len(order) - config.code_space.largest
    count = min(int(_HELD_OUT * len(order)), _MOST_HELD_OUT, spared)
    return taken(rows, np.sort(order[count:])), taken(rows, order[:count])


def _fit(rows: WeightedRows, beam_width: int, config: RQVAEConfig) -> np.ndarray:
    points, weights = rows
    if beam_width > 1:
        space, iterations = config.code_space, config.kmeans_iterations
        return fit_on_paths(points, weights, space, beam_width, iterations, config.seed)
    return residual_kmeans(
        points,
        weights,
        config.num_levels,
        config.codebook_size,
        config.kmeans_iterations,
        config.seed,
        config.assignment,
    )


def _left(rows: WeightedRows, codebooks: np.ndarray, config: RQVAEConfig, beam_width: int) -> float:
    """Weighted squared error of Euclidean codes."""
    sizes = config.code_space.codebook_sizes
    levels = [search_level(tf.constant(book[:size])) for book, size in zip(codebooks, sizes, strict=True)]
    latent = tf.constant(rows.embeddings)
    errors = squared_error(latent, levels, beam_codes(latent, levels, beam_width))
    return float(np.average(errors, weights=rows.weights))
