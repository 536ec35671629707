"""What a level compares: Euclidean, cosine, and residuals brought to length 1."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

EUCLIDEAN, COSINE, HYBRID, NORMALIZED = "euclidean", "cosine", "hybrid", "normalized"


class Assignment:
    """Euclidean: the code is that of the nearest codeword, and the level leaves residual minus codeword.

    Base of the others. All choose by the least ||input - codeword||; between unit codewords that is the
    largest cosine.

    Attributes:
        additive: whether what all levels leave adds up to the error, as beam search needs.
    """

    additive = True

    def codewords(self, codebook: tf.Tensor) -> tf.Tensor:
        """Codewords of a codebook, float32 [codebook_size, dim]."""
        return codebook

    def enter(self, residual: tf.Tensor) -> tf.Tensor:
        """What the level has to code, float32 [n, dim], of what the one before left; it subtracts from it."""
        return residual

    def inputs(self, residual: tf.Tensor) -> tf.Tensor:
        """What is held against the codewords in k-means, losses and moving averages, float32 [n, dim]."""
        return residual


class Cosine(Assignment):
    """Codewords of length 1, chosen by cosine, subtracted from the residual as it is (Lin et al. 2025)."""

    def codewords(self, codebook: tf.Tensor) -> tf.Tensor:
        return tf.math.l2_normalize(codebook, axis=-1)

    def inputs(self, residual: tf.Tensor) -> tf.Tensor:
        return tf.math.l2_normalize(residual, axis=-1)


class Normalized(Assignment):
    """The nearest codeword to the residual brought to length 1, and subtracted from that, as GRID does.

    Each level sees directions alone; lengths are lost, so that only their mean can be restored.
    """

    additive = False

    def enter(self, residual: tf.Tensor) -> tf.Tensor:
        return tf.math.l2_normalize(residual, axis=-1)


def has_unit_levels(parts: Sequence[Assignment]) -> bool:
    """Whether codewords of some level have length 1, so that the scale of what they code matters."""
    return any(isinstance(part, Cosine) for part in parts)


def assignments(name: str, num_levels: int) -> tuple[Assignment, ...]:
    """The assignment of each level: `euclidean`, `cosine` or `normalized` for all, or `hybrid`.

    Hybrid is cosine on all levels but the last, which is Euclidean (Lin et al. 2025).

    >>> [type(part).__name__ for part in assignments("hybrid", 3)]
    ['Cosine', 'Cosine', 'Assignment']
    """
    if name == HYBRID:
        return (*(Cosine(),) * (num_levels - 1), Assignment())
    return ({EUCLIDEAN: Assignment, COSINE: Cosine, NORMALIZED: Normalized}[name](),) * num_levels
