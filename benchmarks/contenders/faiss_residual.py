"""FAISS's `ResidualQuantizer`: residual k-means with a beam over the levels."""

from __future__ import annotations

import faiss
import numpy as np

from benchmarks.contenders.base import Contender, LeftOutError, Product, Task


class FaissResidual(Contender):
    """The quantizer with its default settings but for beam and seed.

    Args:
        task: codebook_size must be a power of two, at least 2: FAISS counts codes in bits.
        beam: code sequences kept from level to level, in training and in encoding.

    Raises:
        LeftOutError: codebook_size is something else.
    """

    def __init__(self, task: Task, beam: int) -> None:
        self.task, self.beam = task, beam
        self.bits = task.codebook_size.bit_length() - 1
        if self.bits < 1 or task.codebook_size != 2**self.bits:
            raise LeftOutError(
                f"FAISS is left out: codebook size {task.codebook_size} is no power of two from 2 on."
            )
        faiss.omp_set_num_threads(task.threads)

    def fit(self, embeddings: np.ndarray) -> None:
        self.quantizer = faiss.ResidualQuantizer(embeddings.shape[1], self.task.num_levels, self.bits)
        self.quantizer.max_beam_size = self.beam
        self.quantizer.cp.seed = self.task.seed
        self.quantizer.train(embeddings)

    def encode(self, embeddings: np.ndarray) -> np.ndarray:
        packed = self.quantizer.compute_codes(embeddings)
        return faiss.unpack_bitstrings(packed, self.task.num_levels, self.bits)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return self.quantizer.decode(faiss.pack_bitstrings(codes, self.bits))

    def products(self) -> list[Product]:
        """Every code sequence of the beam is compared with the whole codebook of the next level."""
        level = Product(self.quantizer.d, self.task.codebook_size)
        later = level._replace(rows_per_item=self.beam)
        return [level, *[later] * (self.task.num_levels - 1)]
