"""Codebooks as moving averages of what chose them, instead of by gradient."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.config import CodeSpace
from semid_tf.quantizer.residual import ResidualQuantizer
from semid_tf.quantizer.usage import BatchUse, existing_codes

_FIRST = tf.VariableAggregation.ONLY_FIRST_REPLICA


class MovingAverages(tf_keras.layers.Layer):
    """Raw moving averages of counts and sums; a codeword is sum / smoothed count (van den Oord et al. 2017).

    N <- d N + (1 - d) n; m <- d m + (1 - d) sum of inputs; e = m / N', where N' is N with Laplace smoothing.
    The averages themselves stay raw: smoothing that were kept would compound. A level whose codewords have
    length 1 brings e to length 1.

    Args:
        code_space: levels and codes.
        dim: of the codewords.
        decay: d, between 0 and 1.
        epsilon: of the smoothing, above 0.
        start_count: N at the start and after a revival: weight of a batch for each code.
    """

    def __init__(
        self, code_space: CodeSpace, dim: int, decay: float, epsilon: float, start_count: float, **kwargs: Any
    ) -> None:
        super().__init__(trainable=False, **kwargs)
        self.code_space, self.decay, self.epsilon, self.start_count = code_space, decay, epsilon, start_count
        shape = (code_space.num_levels, code_space.largest)
        self.counts = self.add_weight(name="counts", shape=shape, initializer="zeros", aggregation=_FIRST)
        self.sums = self.add_weight(name="sums", shape=(*shape, dim), initializer="zeros", aggregation=_FIRST)

    def restart(self, quantizer: ResidualQuantizer, codes: tf.Tensor | None = None) -> None:
        """Begins again from the present codewords, at all codes or at those marked in bool [levels, size]."""
        codes = existing_codes(self.code_space) if codes is None else codes
        self.counts.assign(tf.where(codes, self.start_count, self.counts))
        words = self.start_count * quantizer.codebooks
        self.sums.assign(tf.where(codes[..., None], words, self.sums))

    def update(self, quantizer: ResidualQuantizer, use: BatchUse, levels: tf.Tensor | None = None) -> None:
        """Takes in a batch and sets the codebooks; levels, bool [num_levels], are those that took part."""
        counts = self.decay * self.counts + (1 - self.decay) * use.counts
        sums = self.decay * self.sums + (1 - self.decay) * use.sums
        if levels is not None:
            counts = tf.where(levels[:, None], counts, self.counts)
            sums = tf.where(levels[:, None, None], sums, self.sums)
        self.counts.assign(counts)
        self.sums.assign(sums)
        words = tf.math.divide_no_nan(sums, self._smoothed(counts)[..., None])
        parts = zip(quantizer.assignments, tf.unstack(words), strict=True)
        quantizer.codebooks.assign(tf.stack([part.codewords(level) for part, level in parts]))

    def _smoothed(self, counts: tf.Tensor) -> tf.Tensor:
        total = tf.reduce_sum(counts, axis=1, keepdims=True)
        sizes = tf.constant(self.code_space.codebook_sizes, tf.float32)[:, None]
        return (counts + self.epsilon) / (total + sizes * self.epsilon) * total
