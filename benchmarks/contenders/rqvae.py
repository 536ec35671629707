"""The RQ-VAE of this library."""

from __future__ import annotations

import numpy as np

import semid_tf as sid
from benchmarks.contenders.base import Contender, Product, Task
from benchmarks.contenders.saved import SavedContender


def make(task: Task) -> Contender:
    """See `Rqvae`."""
    return Rqvae(task)


class Rqvae(SavedContender):
    """`sid.fit_rqvae` with its default settings but for the seed.

    Args:
        task: what is measured.
        beam: width of the search for codes, in encoding alone; 0 = that of the settings.
    """

    def __init__(self, task: Task, beam: int = 0) -> None:
        super().__init__(task)
        self.beam_width = beam

    def fit(self, embeddings: np.ndarray) -> None:
        task = self.task
        config = sid.RQVAEConfig(num_levels=task.num_levels, codebook_size=task.codebook_size, seed=task.seed)
        self.model = sid.fit_rqvae(embeddings, config=config)

    def products(self) -> list[Product]:
        """Each matrix of the encoder, then the codebook of each level in the latent space."""
        shapes = [weight.shape for weight in self.model.encoder.weights if weight.shape.rank == 2]
        return [*(Product(*shape) for shape in shapes), *self.level_products(self.model.latent_dim)]
