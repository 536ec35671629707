"""How good Semantic IDs are: plain NumPy over a whole catalogue."""

from __future__ import annotations

import numpy as np

from semid_tf.config import CodeSpace
from semid_tf.ids import tuple_numbers


def normalized_mse(
    embeddings: np.ndarray, reconstructed: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Squared error over variance, of [n, dim] and weights [n]: 0 = perfect, 1 = as the mean embedding.

    >>> normalized_mse(np.array([[0.0], [2.0]]), np.array([[1.0], [1.0]]))
    1.0
    """
    mean = np.average(embeddings, axis=0, weights=weights)
    errors = np.square(embeddings - reconstructed).sum(axis=1)
    variances = np.square(embeddings - mean).sum(axis=1)
    variance = np.average(variances, weights=weights)
    return float(np.average(errors, weights=weights) / variance) if variance else float("nan")


def items_per_id(codes: np.ndarray) -> np.ndarray:
    """Items of each Semantic ID in use, codes int [n, num_levels]: int64 [distinct], in order of codes.

    >>> items_per_id(np.array([[2, 3], [0, 1], [0, 1], [2, 4]])).tolist()
    [2, 1, 1]
    """
    return np.unique(tuple_numbers(codes), return_counts=True)[1]


def unique_rate(codes: np.ndarray) -> float:
    """Different code tuples for each item, codes int [n, num_levels]: in (0, 1].

    >>> unique_rate(np.array([[0, 1], [0, 1], [2, 3], [2, 4]]))
    0.75
    """
    return len(items_per_id(codes)) / len(codes)


def colliding_rate(codes: np.ndarray) -> float:
    """Share of the items whose Semantic ID another item has too, codes int [n, num_levels]: in [0, 1].

    >>> colliding_rate(np.array([[0, 1], [0, 1], [2, 3], [2, 4]]))
    0.5
    """
    sizes = items_per_id(codes)
    return float(sizes[sizes > 1].sum() / len(codes))


def gini(sizes: np.ndarray) -> float:
    """How unevenly things are spread over groups, sizes [m], not negative: in [0, 1); 0 = all groups alike.

    Half the mean difference between two groups, over the mean size.

    >>> gini(np.array([1, 1, 4]))
    0.3333333333333333
    """
    ordered = np.sort(np.asarray(sizes, np.float64))
    ranks = 2 * np.arange(1, len(ordered) + 1) - len(ordered) - 1
    return float((ranks * ordered).sum() / (len(ordered) * ordered.sum()))


def code_counts(codes: np.ndarray, code_space: CodeSpace) -> np.ndarray:
    """Items that have each code: int64 [num_levels, largest codebook]; 0 behind a smaller level."""
    return np.stack([np.bincount(level, minlength=code_space.largest) for level in codes.T])


def code_usage(codes: np.ndarray, code_space: CodeSpace) -> list[float]:
    """Share of the codes in use, one a level.

    >>> code_usage(np.array([[0, 1], [0, 3]]), CodeSpace(2, 4))
    [0.25, 0.5]
    """
    return usage_of_counts(code_counts(codes, code_space), code_space).tolist()


def usage_of_counts(counts: np.ndarray, code_space: CodeSpace) -> np.ndarray:
    """Share of the codes in use by counts, int [num_levels, largest codebook]: float64 [num_levels]."""
    return (counts > 0).sum(axis=1) / np.array(code_space.codebook_sizes)


def perplexity(codes: np.ndarray, code_space: CodeSpace) -> list[float]:
    """exp of the entropy of the codes, one a level: 1 = one code for all, codebook_size = all alike.

    >>> perplexity(np.array([[0], [1]]), CodeSpace(1, 4))
    [2.0]
    """
    return perplexity_of_counts(code_counts(codes, code_space)).tolist()


def perplexity_of_counts(counts: np.ndarray) -> np.ndarray:
    """exp of the entropy of counts, int [num_levels, largest codebook]: float64 [num_levels], 1 of nothing.

    >>> perplexity_of_counts(np.array([[5, 5, 0], [9, 0, 0]])).tolist()
    [2.0, 1.0]
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    return np.exp(-(shares * logs).sum(axis=1))
