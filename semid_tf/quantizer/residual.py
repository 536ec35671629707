"""The residual quantizer: one code a level, coarse to fine (Singh et al. 2024, sec. 3.1)."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras

from semid_tf.config import CodeSpace
from semid_tf.quantizer.distances import fold_codebook, nearest_codes


class Quantized(NamedTuple):
    """What quantization makes of latent vectors.

    Attributes:
        codes: int32 [n, num_levels], each in [0, codebook_size).
        residuals: float32 [num_levels, n, dim]; what each level had left to quantize.
        codewords: float32 [num_levels, n, dim]; what each level chose.
    """

    codes: tf.Tensor
    residuals: tf.Tensor
    codewords: tf.Tensor


@tf_keras.saving.register_keras_serializable("semid_tf")
class ResidualQuantizer(tf_keras.layers.Layer):
    """Quantizes a vector level by level; each level codes what the earlier ones left over.

    r_1 = z; c_l = argmin_k ||r_l - e_l,k||; r_{l+1} = r_l - sg[e_l,c_l]. Subtracting the codeword as a
    constant lets the gradient of every level's commitment reach the encoder.
    """

    def __init__(self, num_levels: int, codebook_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.code_space = CodeSpace(num_levels, codebook_size)

    def build(self, input_shape: tf.TensorShape) -> None:
        space = self.code_space
        self.codebooks = self.add_weight(
            name="codebooks",
            shape=(space.num_levels, space.codebook_size, int(input_shape[-1])),
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        super().build(input_shape)

    def folded(self) -> list[tf.Tensor]:
        """The codebooks as `nearest_codes` takes them, one a level."""
        return [fold_codebook(self.codebooks[level]) for level in range(self.code_space.num_levels)]

    def encode(self, latent: tf.Tensor, folded: list[tf.Tensor] | None = None) -> tf.Tensor:
        """Codes of `latent`, float32 [n, dim]: int32 [n, num_levels]; ties go to the lowest index."""
        codes, residual = [], latent
        for level, matrix in enumerate(folded or self.folded()):
            codes.append(nearest_codes(residual, matrix))
            residual -= tf.gather(self.codebooks[level], codes[-1])
        return tf.stack(codes, axis=1)

    def decode(self, codes: tf.Tensor) -> tf.Tensor:
        """Sum of the codewords of `codes`, int32 [n, num_levels]: float32 [n, dim]."""
        words = [
            tf.gather(self.codebooks[level], codes[:, level]) for level in range(self.code_space.num_levels)
        ]
        return tf.add_n(words)

    def call(self, latent: tf.Tensor) -> Quantized:
        codes = self.encode(tf.stop_gradient(latent))
        residuals, codewords = [latent], []
        for level in range(self.code_space.num_levels):
            codewords.append(tf.gather(self.codebooks[level], codes[:, level]))
            residuals.append(residuals[-1] - tf.stop_gradient(codewords[-1]))
        return Quantized(codes, tf.stack(residuals[:-1]), tf.stack(codewords))

    def get_config(self) -> dict[str, Any]:
        space = self.code_space
        return super().get_config() | {"num_levels": space.num_levels, "codebook_size": space.codebook_size}
