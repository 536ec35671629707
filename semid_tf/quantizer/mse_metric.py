"""Squared error over variance as a Keras metric, in one pass over the data."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

# Below this share of the mean square a variance is what rounding in float32 leaves.
_ROUNDING = 1e-12


@tf_keras.saving.register_keras_serializable("semid_tf")
class NormalizedMSE(tf_keras.metrics.Metric):
    """`normalized_mse` over all batches together: 0 = perfect, 1 = as the mean embedding, NaN = no variance.

    Takes float [..., dim] as `y_true` and `y_pred` and weights [...] or none; rows of weight 0 may hold
    anything. The state are sums in float64
    (weight, errors, embeddings, squares), so batches of any size give one result, and replicas may be summed.

    >>> metric = NormalizedMSE()
    >>> metric.update_state([[0.0], [2.0]], [[0.0], [1.0]])
    >>> metric.update_state([[4.0]], [[4.0]])
    >>> float(metric.result())
    0.125
    """

    def __init__(self, name: str = "normalized_mse", dtype: Any = "float64", **kwargs: Any) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.weight = self.add_weight("weight", initializer="zeros")
        self.errors = self.add_weight("errors", initializer="zeros")
        self.squares = self.add_weight("squares", initializer="zeros")
        self.sum: tf.Variable | None = None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch."""
        y_true, y_pred = tf.cast(y_true, self.dtype), tf.cast(y_pred, self.dtype)
        dim = y_true.shape[-1]
        rows, restored = tf.reshape(y_true, (-1, dim)), tf.reshape(y_pred, (-1, dim))
        weights = tf.ones_like(rows[:, 0]) if sample_weight is None else sample_weight
        weights = tf.reshape(tf.cast(weights, self.dtype), (-1,))
        rows, restored = (tf.where(weights[:, None] != 0, values, 0.0) for values in (rows, restored))
        self.weight.assign_add(tf.reduce_sum(weights))
        self.errors.assign_add(tf.tensordot(weights, tf.reduce_sum(tf.square(rows - restored), axis=1), 1))
        self.squares.assign_add(tf.tensordot(weights, tf.reduce_sum(tf.square(rows), axis=1), 1))
        self._sum(dim).assign_add(tf.linalg.matvec(rows, weights, transpose_a=True))

    def _sum(self, dim: int) -> tf.Variable:
        if self.sum is None:
            with tf.init_scope():  # the dimension is known at the first batch, perhaps inside a graph
                self.sum = self.add_weight("sum", shape=(dim,), initializer="zeros")
        return self.sum

    def result(self) -> tf.Tensor:
        """The figure over all rows so far, a scalar."""
        if self.sum is None:
            return tf.constant(float("nan"), self.dtype)
        variance = self.squares - tf.math.divide_no_nan(tf.reduce_sum(tf.square(self.sum)), self.weight)
        varies = variance > _ROUNDING * self.squares
        return tf.where(varies, self.errors / variance, tf.constant(float("nan"), self.dtype))

    def reset_state(self) -> None:
        """Forgets all batches."""
        for variable in self.variables:
            variable.assign(tf.zeros_like(variable))
