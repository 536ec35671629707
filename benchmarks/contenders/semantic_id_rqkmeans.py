"""RQ-KMeans of the package semantic-id: scikit-learn's k-means level by level."""

from __future__ import annotations

import numpy as np
from semantic_id import RQKMeans

from benchmarks.contenders.base import Contender, Product, Task


def make(task: Task) -> Contender:
    """See `SemanticIdRQKMeans`."""
    return SemanticIdRQKMeans(task)


class SemanticIdRQKMeans(Contender):
    """The quantizer with its default settings but for the seed."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def fit(self, embeddings: np.ndarray) -> None:
        task, self.dim = self.task, embeddings.shape[1]
        self.quantizer = RQKMeans(task.num_levels, task.codebook_size, random_state=task.seed)
        self.quantizer.fit(embeddings)

    def encode(self, embeddings: np.ndarray) -> np.ndarray:
        return self.quantizer.encode(embeddings)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return self.quantizer.decode(codes)

    def products(self) -> list[Product]:
        return [Product(self.dim, self.task.codebook_size)] * self.task.num_levels
