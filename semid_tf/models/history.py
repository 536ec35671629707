"""A user's history: what he likes of late, and what of it speaks for a candidate."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras

_NEVER = -1e9


class User(NamedTuple):
    """A user, ready for any number of candidates.

    Attributes:
        vectors: float32 [b, h, dim], of the history's items.
        known: float32 [b, h], 1, or 0 = padding.
        recency: float32 [b, h], added to the match of each item in attention.
        interest: float32 [b, dim], mean of the history by recency; zeros for an empty history.
    """

    vectors: tf.Tensor
    known: tf.Tensor
    recency: tf.Tensor
    interest: tf.Tensor


@tf_keras.saving.register_keras_serializable("semid_tf")
class HistoryAttention(tf_keras.layers.Layer):
    """Attention of candidates to a history, by likeness and recency (in the manner of DIN, arXiv 1706.06978).

    Args:
        recency_steps: so many latest places of a history have a weight of their own; older ones share
            the last.
    """

    def __init__(self, recency_steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.recency_steps = recency_steps

    def build(self, input_shape: Any = None) -> None:
        steps = (self.recency_steps,)
        self.interest_recency = self.add_weight(name="interest_recency", shape=steps, initializer="zeros")
        self.match_recency = self.add_weight(name="match_recency", shape=steps, initializer="zeros")
        self.match_scale = self.add_weight(name="match_scale", shape=(), initializer="ones")
        super().build(input_shape)

    def user(self, vectors: tf.Tensor, known: tf.Tensor) -> User:
        """What is computed once for a user, however many candidates there are.

        Args:
            vectors: float32 [b, h, dim], latest last.
            known: bool [b, h]; false = padding, wherever it stands.
        """
        later = tf.cumsum(tf.cast(known, tf.int32), axis=1, exclusive=True, reverse=True)
        age = tf.minimum(later, self.recency_steps - 1)
        mask = tf.cast(known, vectors.dtype)
        weights = _shares(tf.gather(self.interest_recency, age), mask)
        interest = tf.einsum("bh,bhd->bd", weights, vectors)
        return User(vectors, mask, tf.gather(self.match_recency, age), interest)

    def call(self, user: User, candidates: tf.Tensor) -> tf.Tensor:
        """What of the history is like each candidate, float32 [b, c, dim]; zeros for an empty history."""
        match = self.match_scale * tf.einsum("bhd,bcd->bch", user.vectors, candidates)
        weights = _shares(match + user.recency[:, None, :], user.known[:, None, :])
        return tf.einsum("bch,bhd->bcd", weights, user.vectors)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"recency_steps": self.recency_steps}


def _shares(logits: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Softmax over the last axis where the mask is 1, and 0 elsewhere."""
    return tf.nn.softmax(logits + (1.0 - mask) * _NEVER) * mask
