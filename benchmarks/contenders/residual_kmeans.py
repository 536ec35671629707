"""Residual k-means of this library."""

from __future__ import annotations

import numpy as np

import semid_tf as sid
from benchmarks.contenders.base import Contender, Product, Task
from benchmarks.contenders.saved import SavedContender


def make(task: Task) -> Contender:
    """See `ResidualKMeans`."""
    return ResidualKMeans(task)


class ResidualKMeans(SavedContender):
    """`sid.fit_residual_kmeans` with its default settings but for the seed."""

    def fit(self, embeddings: np.ndarray) -> None:
        task = self.task
        config = sid.ResidualKMeansConfig(
            num_levels=task.num_levels, codebook_size=task.codebook_size, seed=task.seed
        )
        self.dim = embeddings.shape[1]
        self.model = sid.fit_residual_kmeans(embeddings, config=config)

    def products(self) -> list[Product]:
        """The codebook of each level, in the space of the embeddings."""
        return self.level_products(self.dim)
