"""What items with a common prefix have in common (Singh et al. 2024, arXiv 2306.08121, table 1)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from semid_tf.errors import DataError
from semid_tf.ids import tuple_numbers

_CHUNK = 16_384
_QUANTILES = (0.25, 0.5, 0.75)


def prefix_cosines(embeddings: np.ndarray, codes: np.ndarray) -> list[float]:
    """Mean cosine over all pairs of items that share at least the first 1, 2, ... codes.

    Exact and linear in the items, since in a group of m unit vectors u the cosines of all ordered pairs add
    up to |sum u|^2 - sum |u|^2. Every pair weighs the same. The order of the rows does not matter.

    Args:
        embeddings: float [n, dim], finite, none of them zero.
        codes: int [n, num_levels].

    Returns:
        One figure a prefix length, in [-1, 1]; NaN where no two items share so long a prefix.

    >>> prefix_cosines(np.array([[1.0, 0], [2, 0], [0, 3]]), np.array([[5, 1], [5, 1], [5, 2]]))
    [0.3333333333333333, 1.0]

    Raises:
        DataError: lengths differ, or an embedding is zero or not finite.
    """
    if len(embeddings) != len(codes):
        raise DataError(f"{len(embeddings)} embeddings meet {len(codes)} rows of codes; both must agree.")
    norms = np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings, dtype=np.float64))
    wrong = ~(np.isfinite(norms) & (norms > 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(f"embeddings[{row}] has norm {norms[row]}; a cosine needs it finite and above 0.")
    order = np.argsort(tuple_numbers(codes), kind="stable")
    return [_mean_cosine(embeddings, norms, order, starts) for starts in _prefix_starts(codes[order])]


def _prefix_starts(ordered: np.ndarray) -> Iterator[np.ndarray]:
    """For each prefix length, where groups begin in codes that are in order."""
    new = np.zeros(len(ordered), bool)
    new[:1] = True
    for level in ordered.T:
        new[1:] |= level[1:] != level[:-1]
        yield np.flatnonzero(new)


def _mean_cosine(embeddings: np.ndarray, norms: np.ndarray, order: np.ndarray, starts: np.ndarray) -> float:
    sizes = np.diff(starts, append=len(order))
    pairs = int((sizes * (sizes - 1)).sum())
    if not pairs:
        return float("nan")
    groups = np.repeat(np.arange(len(sizes)), sizes)
    paired = sizes[groups] > 1
    squared = _squared_sums(embeddings, norms, order[paired], groups[paired])
    return float((squared - paired.sum()) / pairs)


def _squared_sums(embeddings: np.ndarray, norms: np.ndarray, rows: np.ndarray, groups: np.ndarray) -> float:
    """Sum over groups of |sum of unit vectors|^2; `groups` ascends. Only a chunk is held in float64."""
    total: float = 0.0
    carried, last = np.zeros(embeddings.shape[1]), -1
    for first in range(0, len(rows), _CHUNK):
        chunk, here = rows[first : first + _CHUNK], groups[first : first + _CHUNK]
        sums = np.add.reduceat(
            embeddings[chunk] / norms[chunk, None], np.flatnonzero(np.diff(here, prepend=-1))
        )
        if here[0] == last:  # the group goes on from the chunk before
            sums[0] += carried
        else:
            total += float(carried @ carried)
        total += float(np.square(sums[:-1]).sum())
        carried, last = sums[-1], here[-1]
    return float(total + carried @ carried)


def subtrie_sizes(codes: np.ndarray) -> np.ndarray:
    """Items under a prefix of length 1, 2, ...: the 25, 50 and 75 % quantiles over the prefixes in use.

    Args:
        codes: int [n, num_levels], n at least 1.

    Returns:
        float64 [num_levels, 3], interpolated between neighbours.

    >>> subtrie_sizes(np.array([[0, 0], [0, 1], [0, 1], [2, 0]]))
    array([[1.5, 2. , 2.5],
           [1. , 1. , 1.5]])
    """
    ordered = codes[np.argsort(tuple_numbers(codes))]
    sizes = [np.diff(starts, append=len(codes)) for starts in _prefix_starts(ordered)]
    return np.stack([np.quantile(level, _QUANTILES) for level in sizes])
