"""The RQ-VAE of the package semantic-id."""

from __future__ import annotations

import contextlib
import sys

import numpy as np
import torch
from semantic_id import RQVAE

from benchmarks.contenders.base import Contender, Product, Task

_EPOCHS = 60
_BATCH_ITEMS = 2048


def make(task: Task) -> Contender:
    """See `SemanticIdRQVAE`."""
    _hide_triton()
    return SemanticIdRQVAE(task)


def _hide_triton() -> None:
    """Keeps PyTorch from loading Triton, which is for GPUs.

    Triton and TensorFlow each carry LLVM, and the second to be loaded ends the process.
    """
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]


class SemanticIdRQVAE(Contender):
    """The quantizer with its default network, k-means start, 60 epochs.

    It trains with `verbose=True`: without it, its monitor of collisions is off, all epochs count as equally
    good, and it ends with the weights of the first.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        torch.set_num_threads(task.threads)

    def fit(self, embeddings: np.ndarray) -> None:
        torch.manual_seed(self.task.seed)
        self.quantizer = RQVAE(
            in_dim=embeddings.shape[1],
            num_emb_list=[self.task.codebook_size] * self.task.num_levels,
            kmeans_init=True,
            epochs=_EPOCHS,
            batch_size=_BATCH_ITEMS,
            verbose=True,
        )
        with contextlib.redirect_stdout(sys.stderr):
            self.quantizer.fit(embeddings)
        self.quantizer.verbose = False

    def encode(self, embeddings: np.ndarray) -> np.ndarray:
        return self.quantizer.encode(embeddings, batch_size=len(embeddings))

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return self.quantizer.decode(codes)

    def products(self) -> list[Product]:
        """Each matrix of the encoder, then the codebook of each level in the latent space."""
        matrices = [weight for weight in self.quantizer.module.encoder.parameters() if weight.ndim == 2]
        level = Product(self.quantizer.e_dim, self.task.codebook_size)
        return [*(Product(*reversed(matrix.shape)) for matrix in matrices), *[level] * self.task.num_levels]
