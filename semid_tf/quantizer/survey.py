"""What a fit knows of its embeddings before it starts: one pass over all rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from semid_tf.artifacts import fingerprint
from semid_tf.data.embedding_source import EmbeddingSource, WeightedRows, joined, regrouped, taken
from semid_tf.errors import DataError

_BLOCK_ROWS = 8192


class Moments(NamedTuple):
    """Weighted moments of embeddings, summed in float64.

    Attributes:
        weight: sum of all weights.
        mean: float64 [dim].
        covariance: float64 [dim, dim], about the mean.
    """

    weight: float
    mean: np.ndarray
    covariance: np.ndarray


class Survey(NamedTuple):
    """What one pass says.

    Attributes:
        num_items: items of weight above 0.
        moments: of all of them.
        all_equal: there is only one embedding.
        sample: uniform over the items, in the order of the pass; all of them if they are few enough.
    """

    num_items: int
    moments: Moments
    all_equal: bool
    sample: WeightedRows

    @property
    def fingerprint(self) -> str:
        """Stands for the embeddings: their number, moments and sample."""
        return fingerprint(self.num_items, *self.moments, *self.sample)


def survey(source: EmbeddingSource, sample_rows: int, seed: int) -> Survey:
    """Goes once through all embeddings; the result does not depend on how the source cuts them.

    It costs dim^2 multiplications an item in float64, and memory for at most twice the sample.

    Args:
        source: the embeddings.
        sample_rows: at most so many rows are kept.
        seed: fixes which.

    Raises:
        DataError: a row cannot be used; there is none.
    """
    moments, sample, kinds = MomentSums(source.embedding_dim), Reservoir(sample_rows, seed), OneKind()
    for block in regrouped(_blocks(source), _BLOCK_ROWS):
        moments.add(block)
        sample.add(block)
        kinds.add(block)
    if not sample.seen:
        raise DataError("there is no item of weight above 0; give at least codebook_size of them.")
    return Survey(sample.seen, moments.result(), kinds.all_equal, sample.result())


def some_of(rows: WeightedRows, most: int, seed: int) -> WeightedRows:
    """At most so many of the rows, drawn at random by the seed, in their order."""
    count = len(rows.weights)
    if count <= most:
        return rows
    return taken(rows, np.sort(np.random.default_rng(seed).choice(count, most, replace=False)))


def moments_of(embeddings: np.ndarray, weights: np.ndarray) -> Moments:
    """Moments of embeddings in memory, float [n, dim], with weights [n]."""
    sums, rows = MomentSums(embeddings.shape[1]), WeightedRows(embeddings, weights)
    for start in range(0, len(weights), _BLOCK_ROWS):
        sums.add(taken(rows, slice(start, start + _BLOCK_ROWS)))
    return sums.result()


def _blocks(source: EmbeddingSource) -> Iterator[WeightedRows]:
    return (block for block in source.in_order() if len(block.weights))


class MomentSums:
    """Sums about the first block's mean, so that a large mean does not swallow a small variance."""

    def __init__(self, dim: int) -> None:
        self._shift: np.ndarray | None = None
        self._weight, self._sum, self._products = 0.0, np.zeros(dim), np.zeros((dim, dim))

    def add(self, rows: WeightedRows) -> None:
        """Takes in some rows."""
        embeddings, weights = rows.embeddings.astype(np.float64), rows.weights.astype(np.float64)
        if self._shift is None:
            self._shift = weights @ embeddings / weights.sum()
        embeddings -= self._shift
        weighted = embeddings * weights[:, None]
        self._weight += weights.sum()
        self._sum += weighted.sum(axis=0)
        self._products += weighted.T @ embeddings

    def result(self) -> Moments:
        """The moments of all rows so far, at least one."""
        assert self._shift is not None
        beside = self._sum / self._weight
        covariance = self._products / self._weight - np.outer(beside, beside)
        return Moments(self._weight, self._shift + beside, covariance)


class Reservoir:
    """A uniform sample of at most `most` rows: those with the smallest random keys."""

    def __init__(self, most: int, seed: int) -> None:
        self._most, self._random, self.seen = most, np.random.default_rng(seed), 0
        self._keys, self._parts = np.empty(0), list[WeightedRows]()

    def add(self, rows: WeightedRows) -> None:
        """Takes in some rows; beyond the sample it keeps as many again before it throws any away."""
        self._keys = np.append(self._keys, self._random.random(len(rows.weights)))
        self._parts.append(rows)
        self.seen += len(rows.weights)
        if len(self._keys) > 2 * self._most:
            self._shrink()

    def _shrink(self) -> None:
        if len(self._keys) > self._most:
            kept = np.sort(np.argpartition(self._keys, self._most)[: self._most])
            self._keys, self._parts = self._keys[kept], _of_each(self._parts, kept)

    def result(self) -> WeightedRows:
        """The sample of all rows so far, in their order."""
        self._shrink()
        return joined(self._parts)


def _of_each(parts: list[WeightedRows], kept: np.ndarray) -> list[WeightedRows]:
    """The kept rows, by their sorted places among all, part by part."""
    starts = np.cumsum([0, *(len(part.weights) for part in parts)])
    places = np.split(kept, np.searchsorted(kept, starts[1:-1]))
    return [taken(part, of - start) for part, of, start in zip(parts, places, starts[:-1], strict=True)]


class OneKind:
    """Whether all embeddings are one and the same."""

    def __init__(self) -> None:
        self._first: np.ndarray | None = None
        self.all_equal = True

    def add(self, rows: WeightedRows) -> None:
        """Takes in some rows; once two differ it looks no further."""
        self._first = rows.embeddings[0].copy() if self._first is None else self._first
        self.all_equal = self.all_equal and bool((rows.embeddings == self._first).all())
