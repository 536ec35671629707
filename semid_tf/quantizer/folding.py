"""Standardisation within an encoder's first weights: embeddings are passed over once less."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from semid_tf.quantizer.shortcut import LinearThenMLP


class FoldedWeights(NamedTuple):
    """Weights of an encoder with a standardisation before it.

    Attributes:
        shift: is subtracted from embeddings, float32 [input_dim]; zeros = nothing is.
        linear, linear_bias: float32 [input_dim, output_dim] and [output_dim].
        hidden, hidden_bias: float32 [output_dim, hidden_dim] and [hidden_dim].
        correction: float32 [hidden_dim, output_dim].
    """

    shift: tf.Tensor
    linear: tf.Tensor
    linear_bias: tf.Tensor
    hidden: tf.Tensor
    hidden_bias: tf.Tensor
    correction: tf.Tensor

    def encode(self, inputs: tf.Tensor) -> tf.Tensor:
        """Of embeddings less the shift, float32 [n, input_dim]: [n, output_dim]."""
        linear = tf.nn.bias_add(tf.matmul(inputs, self.linear), self.linear_bias)
        hidden = tf.nn.relu(tf.nn.bias_add(tf.matmul(linear, self.hidden), self.hidden_bias))
        return linear + tf.matmul(hidden, self.correction)


def fold(encoder: LinearThenMLP, mean: tf.Tensor, scale: tf.Tensor) -> FoldedWeights:
    """What `encoder((x - mean) / scale)` needs, mean float32 [input_dim], scale [].

    The mean becomes part of the bias where it is no longer than what embeddings deviate from it by. A longer
    one is subtracted first: inside of a sum of products it would cost digits.
    """
    short = tf.reduce_mean(tf.square(mean)) <= tf.square(scale)
    shift = tf.where(short, tf.zeros_like(mean), mean)
    linear, hidden = encoder.linear.kernel / scale, encoder.hidden
    bias = encoder.linear.bias - tf.linalg.matvec(linear, mean - shift, transpose_a=True)
    return FoldedWeights(shift, linear, bias, hidden.kernel, hidden.bias, encoder.correction.kernel)


class ConstantEncoder(tf.Module):
    """An encoder with folded weights that are computed once, for a SavedModel."""

    def __init__(self, weights: FoldedWeights) -> None:
        super().__init__()
        self.weights = FoldedWeights(*(tf.Variable(tensor, trainable=False) for tensor in weights))
        self._shifts = bool(tf.reduce_any(weights.shift != 0))

    def __call__(self, embedding: tf.Tensor) -> tf.Tensor:
        """Float32 [n, input_dim] -> [n, output_dim]."""
        return self.weights.encode(embedding - self.weights.shift if self._shifts else embedding)
