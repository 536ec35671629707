"""Embeddings that can be gone through again and again, whether they fit into memory or not."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from semid_tf.data.finite import finite_float32
from semid_tf.errors import DataError

BLOCK_ROWS = 8192


class WeightedRows(NamedTuple):
    """Some items.

    Attributes:
        embeddings: float32 [n, dim], all finite.
        weights: float32 [n], positive.
    """

    embeddings: np.ndarray
    weights: np.ndarray


class EmbeddingSource(abc.ABC):
    """Content embeddings and their weights, for as many passes as are asked for.

    Every pass gives the same rows. Items of weight 0 are left out.
    """

    @property
    @abc.abstractmethod
    def embedding_dim(self) -> int:
        """Numbers of an embedding."""

    @property
    @abc.abstractmethod
    def order(self) -> dict[str, Any]:
        """What fixes, beside rows and seed, the order of `shuffled`; JSON values."""

    @abc.abstractmethod
    def in_order(self) -> Iterator[WeightedRows]:
        """One pass in blocks of any size, always in the same order."""

    @abc.abstractmethod
    def shuffled(self, batch_size: int, seed: Sequence[int]) -> Iterator[WeightedRows]:
        """One pass in random batches, all of `batch_size` but the last; equal for equal seeds."""


class EmbeddingArrays(EmbeddingSource):
    """Embeddings in memory, shuffled as a whole.

    >>> source = EmbeddingArrays(np.eye(3), np.array([1.0, 0.0, 2.0]))
    >>> [rows.weights.tolist() for rows in source.in_order()]
    [[1.0, 2.0]]

    Args:
        embeddings: float [n, dim], finite where the weight is not 0.
        weights: float [n], not negative; None = all alike.

    Raises:
        DataError: shapes that do not fit, numbers that are not finite, negative weights.
    """

    def __init__(self, embeddings: np.ndarray, weights: np.ndarray | None = None) -> None:
        self._rows = weighted_rows(np.asarray(embeddings), weights)

    @property
    def embedding_dim(self) -> int:
        return self._rows.embeddings.shape[1]

    @property
    def order(self) -> dict[str, Any]:
        return {"source": "arrays"}

    def in_order(self) -> Iterator[WeightedRows]:
        embeddings, weights = self._rows
        for i in range(0, len(weights), BLOCK_ROWS):
            yield WeightedRows(embeddings[i : i + BLOCK_ROWS], weights[i : i + BLOCK_ROWS])

    def shuffled(self, batch_size: int, seed: Sequence[int]) -> Iterator[WeightedRows]:
        embeddings, weights = self._rows
        order = np.random.default_rng(seed).permutation(len(weights))
        for i in range(0, len(order), batch_size):
            rows = order[i : i + batch_size]
            yield WeightedRows(embeddings[rows], weights[rows])


def weighted_rows(embeddings: np.ndarray, weights: np.ndarray | None) -> WeightedRows:
    """The items of positive weight.

    Raises:
        DataError: shapes that do not fit, numbers that are not finite, negative weights.
    """
    if embeddings.ndim != 2:
        raise DataError(f"embeddings have shape {list(embeddings.shape)}; [items, dimension] is needed.")
    weights = np.ones(len(embeddings), np.float32) if weights is None else np.asarray(weights, np.float32)
    if weights.shape != (len(embeddings),):
        raise DataError(
            f"weights have shape {list(weights.shape)}; [{len(embeddings)}] is needed, one an item."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise DataError("weights must be finite and not negative.")
    kept = np.flatnonzero(weights > 0)
    return WeightedRows(finite_float32(embeddings[kept], kept), weights[kept])


def regrouped(blocks: Iterator[WeightedRows], rows: int) -> Iterator[WeightedRows]:
    """The same rows in blocks of `rows`, so that sums over blocks do not depend on how a source cuts them."""
    pending: list[WeightedRows] = []
    for block in blocks:
        pending.append(block)
        if sum(len(part.weights) for part in pending) > rows:
            *whole, rest = _cut(joined(pending), rows)
            yield from whole
            pending = [rest]
    if pending:
        yield joined(pending)


def _cut(rows: WeightedRows, size: int) -> list[WeightedRows]:
    return [taken(rows, slice(i, i + size)) for i in range(0, len(rows.weights), size)]


def joined(parts: list[WeightedRows]) -> WeightedRows:
    """Rows after rows; one part is not copied."""
    return (
        parts[0] if len(parts) == 1 else WeightedRows(*(np.concatenate(p) for p in zip(*parts, strict=True)))
    )


def taken(rows: WeightedRows, which: Any) -> WeightedRows:
    """Some of the rows, by numbers or a slice."""
    return WeightedRows(rows.embeddings[which], rows.weights[which])
