"""Standardisation within an encoder's first weights: embeddings are passed over once less."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from semid_tf.quantizer.shortcut import LinearPlusMLP


class FoldedEncoder(NamedTuple):
    """What `encoder((x - mean) / scale)` is, of x, up to rounding.

    Attributes:
        shift: is subtracted from x, float32 [input_dim]; None = nothing is.
        linear, linear_bias: float32 [input_dim, output_dim] and [output_dim].
        hidden, hidden_bias: float32 [input_dim, hidden_dim] and [hidden_dim].
        correction: float32 [hidden_dim, output_dim].
    """

    shift: tf.Tensor | None
    linear: tf.Tensor
    linear_bias: tf.Tensor
    hidden: tf.Tensor
    hidden_bias: tf.Tensor
    correction: tf.Tensor

    def __call__(self, embedding: tf.Tensor) -> tf.Tensor:
        """Float32 [n, input_dim] -> [n, output_dim]."""
        inputs = embedding if self.shift is None else embedding - self.shift
        hidden = tf.nn.relu(tf.nn.bias_add(tf.matmul(inputs, self.hidden), self.hidden_bias))
        linear = tf.nn.bias_add(tf.matmul(inputs, self.linear), self.linear_bias)
        return linear + tf.matmul(hidden, self.correction)

    def constant(self) -> FoldedEncoder:
        """The same, for a SavedModel: computed once, and a shift of zeros left out. Gives equal numbers."""
        shift, *others = self
        shifted = shift is not None and bool(tf.reduce_any(shift != 0))
        kept = [tf.Variable(tensor, trainable=False) for tensor in others]
        return FoldedEncoder(tf.Variable(shift, trainable=False) if shifted else None, *kept)


def folded(encoder: LinearPlusMLP, mean: tf.Tensor, scale: tf.Tensor) -> FoldedEncoder:
    """An encoder with a standardisation before it: mean float32 [input_dim], scale [].

    The mean becomes part of the biases where it is no longer than what embeddings deviate from it by. A
    longer one is subtracted first as before: inside of a sum of products it would cost digits.
    """
    short = tf.reduce_mean(tf.square(mean)) <= tf.square(scale)
    shift = tf.where(short, tf.zeros_like(mean), mean)
    linear, hidden = (layer.kernel / scale for layer in (encoder.linear, encoder.hidden))
    offsets = [tf.linalg.matvec(kernel, mean - shift, transpose_a=True) for kernel in (linear, hidden)]
    biases = [encoder.linear.bias - offsets[0], encoder.hidden.bias - offsets[1]]
    return FoldedEncoder(shift, linear, biases[0], hidden, biases[1], encoder.correction.kernel)
