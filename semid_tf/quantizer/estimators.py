"""How the gradient passes the quantizer: straight through, or turned as the quantizer turns."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

Estimator = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def straight_through(latent: tf.Tensor, quantized: tf.Tensor) -> tf.Tensor:
    """The quantized vectors, float32 [n, dim], with the gradient of the latent ones."""
    return latent + tf.stop_gradient(quantized - latent)


def rotation(latent: tf.Tensor, quantized: tf.Tensor) -> tf.Tensor:
    """The quantized vectors, as the latent ones turned and stretched by what the gradient takes as constant.

    q = (||q|| / ||e||) R e with R = I - 2 r r^T + 2 q' e'^T, r = (e' + q') / ||e' + q'||, where e' and q'
    have length 1: the angle between gradient and codeword becomes that between gradient and latent vector
    (Fifty et al. 2024, arXiv 2410.06424, sec. 4.2). A latent vector of zeros gets no gradient.
    """
    unit_latent, unit_quantized = (tf.math.l2_normalize(tf.stop_gradient(v), 1) for v in (latent, quantized))
    between = tf.math.l2_normalize(unit_latent + unit_quantized, 1)
    stretch = tf.math.divide_no_nan(_length(quantized), _length(latent))
    turned = latent - 2 * between * _inner(between, latent) + 2 * unit_quantized * _inner(unit_latent, latent)
    turned *= tf.stop_gradient(stretch)
    return turned + tf.stop_gradient(quantized - turned)


def _inner(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(a * b, axis=1, keepdims=True)


def _length(vectors: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(_inner(vectors, vectors))


ESTIMATORS: dict[str, Estimator] = {"straight_through": straight_through, "rotation": rotation}
