"""What every contender does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np


class LeftOutError(Exception):
    """A contender cannot take part: a package is missing, or it cannot do the task."""


class Task(NamedTuple):
    """What all contenders are asked for."""

    num_levels: int
    codebook_size: int
    seed: int
    threads: int


class Product(NamedTuple):
    """A matrix product of encoding: [n * rows_per_item, inner] x [inner, outer] for n items."""

    inner: int
    outer: int
    rows_per_item: int = 1


class Contender(ABC):
    """A quantizer under test."""

    @abstractmethod
    def fit(self, embeddings: np.ndarray) -> None:
        """Learns from embeddings, float32 [n, dim]."""

    @abstractmethod
    def encode(self, embeddings: np.ndarray) -> np.ndarray:
        """Codes of embeddings, float32 [n, dim]: int [n, num_levels]."""

    @abstractmethod
    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Embeddings that codes stand for: float32 [n, dim]."""

    @abstractmethod
    def products(self) -> list[Product]:
        """The matrix products that encoding cannot do without, in their order."""
