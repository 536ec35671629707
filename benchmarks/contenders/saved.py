"""Quantizers of this library, run as the SavedModel that servers and pipelines load."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

import semid_tf as sid
from benchmarks.contenders.base import Contender, Product, Task

Signature = Callable[..., dict[str, tf.Tensor]]


class SavedContender(Contender):
    """Saves the quantizer and encodes and decodes by the signatures of what it then loads.

    `fit` of a subclass puts the fitted quantizer into `model`.
    """

    model: Any
    beam_width = 0

    def __init__(self, task: Task) -> None:
        self.task = task

    def encode(self, embeddings: np.ndarray) -> np.ndarray:
        return self._encode(embedding=sid.as_tensor(embeddings))["codes"].numpy()

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return self._decode(codes=tf.constant(codes))["embedding"].numpy()

    def level_products(self, dim: int) -> list[Product]:
        """The codebook of each level, in a space of so many dimensions; for each path of a beam."""
        level = Product(dim, self.task.codebook_size)
        later = level._replace(rows_per_item=self.beam_width or self.model.beam_width)
        return [level, *[later] * (self.task.num_levels - 1)]

    @cached_property
    def _loaded(self) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            sid.save_quantizer(self.model, folder, self.beam_width)
            return tf.saved_model.load(folder)

    @cached_property
    def _encode(self) -> Signature:
        return self._loaded.signatures["encode"]

    @cached_property
    def _decode(self) -> Signature:
        return self._loaded.signatures["decode"]
