"""The residual quantizer: one code a level, coarse to fine (Singh et al. 2024, sec. 3.1)."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras

from semid_tf.config import CodeSpace
from semid_tf.errors import ConfigError
from semid_tf.quantizer.assignment import EUCLIDEAN, assignments
from semid_tf.quantizer.beam import beam_codes
from semid_tf.quantizer.distances import several_highest
from semid_tf.quantizer.search import SearchLevel, last_entered, search_level


class Quantized(NamedTuple):
    """What quantization makes of latent vectors.

    Attributes:
        codes: int32 [n, num_levels], each below its level's codebook size.
        residuals: float32 [num_levels, n, dim]; what each level had left to quantize.
        codewords: float32 [num_levels, n, dim]; what each level chose.
        inputs: float32 [num_levels, n, dim]; what was held against the codewords: the residuals, of length 1
            where a level chooses by cosine.
    """

    codes: tf.Tensor
    residuals: tf.Tensor
    codewords: tf.Tensor
    inputs: tf.Tensor


class MeasuredCandidates(NamedTuple):
    """Codes for the last level under an item's earlier codes, nearest first.

    Attributes:
        codes: int32 [n, k].
        distances: float32 [n, k]; squared, of the codewords from what the earlier levels left, up to
            rounding; with twice their prices where codewords have some.
    """

    codes: tf.Tensor
    distances: tf.Tensor


@tf_keras.saving.register_keras_serializable("semid_tf")
class ResidualQuantizer(tf_keras.layers.Layer):
    """Quantizes a vector level by level; each level codes what the earlier ones left over.

    r_1 = z; c_l = argmin_k ||r_l - e_l,k||; r_{l+1} = r_l - sg[e_l,c_l]. Subtracting the codeword as a
    constant lets the gradient of every level's commitment reach the encoder.

    The weight `codebooks` is float32 [num_levels, largest codebook, dim].

    Args:
        num_levels: codes of a Semantic ID.
        codebook_size: one size for all levels, or one a level.
        assignment: how levels choose, see `assignments`.
        priced: whether codewords have prices, float32 [num_levels, largest codebook], that keep clusters
            alike in size, see `fold_codebook`.
    """

    def __init__(
        self,
        num_levels: int,
        codebook_size: int | tuple[int, ...],
        assignment: str = EUCLIDEAN,
        priced: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.code_space = CodeSpace(num_levels, codebook_size)
        self.assignment, self.priced = assignment, priced
        self.assignments = assignments(assignment, num_levels)

    def build(self, input_shape: tf.TensorShape) -> None:
        space = self.code_space
        shape = (space.num_levels, space.largest)
        # Replicas move their codebooks alike; where they drew at random, the first one's draw holds.
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.codebooks = self.add_weight(
            name="codebooks", shape=(*shape, int(input_shape[-1])), aggregation=first
        )
        if self.priced:
            self.prices = self.add_weight(name="prices", shape=shape, initializer="zeros", trainable=False)
        super().build(input_shape)

    def codebook(self, level: int) -> tf.Tensor:
        """The codewords of a level, float32 [codebook_sizes[level], dim]; what is behind them is unused."""
        book = self.codebooks[level, : self.code_space.codebook_sizes[level]]
        return self.assignments[level].codewords(book)

    def levels(self) -> list[SearchLevel]:
        """The levels as a search takes them."""
        return [self._search_level(level) for level in range(self.code_space.num_levels)]

    def _search_level(self, level: int) -> SearchLevel:
        prices = self.prices[level, : self.code_space.codebook_sizes[level]] if self.priced else None
        return search_level(self.codebook(level), prices, self.assignments[level])

    def encode(
        self, latent: tf.Tensor, beam_width: int = 1, levels: list[SearchLevel] | None = None
    ) -> tf.Tensor:
        """Codes of `latent`, float32 [n, dim]: int32 [n, num_levels]; ties go to the lowest index.

        Args:
            latent: what to quantize.
            beam_width: 1 = greedy search, see `beam_codes`.
            levels: of `levels`, where they are at hand.

        Raises:
            ConfigError: beam_width is below 1, or above 1 where errors of levels do not add up.
        """
        self.require_beam_width(beam_width)
        return beam_codes(latent, levels or self.levels(), beam_width)

    @property
    def additive(self) -> bool:
        """Whether errors of levels add up, so that a beam can rank its paths."""
        return not self.priced and all(part.additive for part in self.assignments)

    def require_beam_width(self, beam_width: int) -> None:
        """Checks a beam width.

        Raises:
            ConfigError: it is below 1, or above 1 where errors of levels do not add up.
        """
        if beam_width < 1:
            raise ConfigError(f"beam_width must be at least 1, got {beam_width}.")
        if beam_width > 1 and not self.additive:
            raise ConfigError(
                f"beam_width must be 1 with balanced codes and normalized residuals, got {beam_width}."
            )

    def measured_candidates(
        self, latent: tf.Tensor, k: int, beam_width: int = 1, levels: list[SearchLevel] | None = None
    ) -> MeasuredCandidates:
        """Codes for the last level, nearest first, under each item's earlier codes, with their distances.

        Candidate 0 is the last code that `encode` gives; ties go to the lowest index.

        Raises:
            ConfigError: k is not between 1 and the last codebook's size; see `require_beam_width`.
        """
        size = self.code_space.codebook_sizes[-1]
        if not 1 <= k <= size:
            raise ConfigError(f"k must lie between 1 and the {size} codes of the last level, got {k}.")
        levels = levels or self.levels()
        return candidates_under(self.encode(latent, beam_width, levels), latent, k, levels)

    def candidates(
        self, latent: tf.Tensor, k: int, beam_width: int = 1, levels: list[SearchLevel] | None = None
    ) -> tf.Tensor:
        """The codes of `measured_candidates`: int32 [n, k]."""
        return self.measured_candidates(latent, k, beam_width, levels).codes

    def words(self, codes: tf.Tensor) -> list[tf.Tensor]:
        """The codeword of each level, float32 [n, dim] each, of codes int32 [n, num_levels]."""
        return [tf.gather(self.codebook(lv), codes[:, lv]) for lv in range(self.code_space.num_levels)]

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Sum of the codewords of `codes`, int32 [n, num_levels]: float32 [n, dim]."""
        return tf.add_n(self.words(codes))

    def call(self, latent: tf.Tensor, beam_width: int = 1) -> Quantized:
        codes = self.encode(tf.stop_gradient(latent), beam_width)
        residuals, inputs, codewords, left = [], [], self.words(codes), latent
        for assignment, word in zip(self.assignments, codewords, strict=True):
            residuals.append(assignment.enter(left))
            inputs.append(assignment.inputs(residuals[-1]))
            left = residuals[-1] - tf.stop_gradient(word)
        return Quantized(codes, tf.stack(residuals), tf.stack(codewords), tf.stack(inputs))

    def get_config(self) -> dict[str, Any]:
        space = self.code_space
        return super().get_config() | {
            "num_levels": space.num_levels,
            "codebook_size": space.codebook_size,
            "assignment": self.assignment,
            "priced": self.priced,
        }


def candidates_under(
    codes: tf.Tensor, latent: tf.Tensor, k: int, levels: list[SearchLevel]
) -> MeasuredCandidates:
    """The k nearest codes for the last level, under the earlier ones of codes int32 [n, num_levels]."""
    left = last_entered(latent, levels, codes)
    nearest = several_highest(tf.matmul(left, levels[-1].folded), k)
    squared = tf.reduce_sum(tf.square(left[:, :-1]), axis=1, keepdims=True)
    return MeasuredCandidates(nearest.places, squared - 2 * nearest.scores)
