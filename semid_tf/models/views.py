"""What of a history a candidate sees: with the items' own parts, or without."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras

from semid_tf.models.history import History, User, View


class TwoUsers(NamedTuple):
    """One user, seen twice.

    Attributes:
        shared: by what the items of his history share with others.
        full: by that and by what is their own.
    """

    shared: User
    full: User


@tf_keras.saving.register_keras_serializable("semid_tf")
class TwoViews(History):
    """Candidates without a part of their own see a history without it.

    For item vectors that are [shared, own], such as those of `UnifiedEmbedding` with `concatenated`; the
    item is their sum. An item never seen has no own part. Against a history with own parts it would be
    matched by weights that were never trained for it, and rank worse than with Semantic IDs alone; here it
    ranks exactly as with them alone. What leaves own parts out while training trains both views.

    Args:
        history: the part that is asked twice; it sees vectors of half the width.
    """

    def __init__(self, history: History, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.history = history

    def build(self, input_shape: Any = None) -> None:
        if not self.history.built:
            self.history.build(input_shape)
        super().build(input_shape)

    def user(self, vectors: tf.Tensor, known: tf.Tensor) -> TwoUsers:
        """What is computed once for a user: from vectors float32 [b, h, 2 dim] and known bool [b, h]."""
        shared, own = tf.split(vectors, 2, axis=-1)
        return TwoUsers(self.history.user(shared, known), self.history.user(shared + own, known))

    def view(self, user: TwoUsers, candidates: tf.Tensor) -> View:
        """What each of the candidates, float32 [b, c, 2 dim], sees of the user."""
        shared, own = tf.split(candidates, 2, axis=-1)
        has_own = tf.reduce_any(own != 0, axis=-1, keepdims=True)
        full, without = self.history.view(user.full, shared + own), self.history.view(user.shared, shared)
        # Candidates are full either way, so that own parts that start at zero learn.
        return View(
            tf.where(has_own, full.interest, without.interest),
            full.candidates,
            tf.where(has_own, full.alike, without.alike),
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"history": tf_keras.saving.serialize_keras_object(self.history)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TwoViews:
        return cls(**config | {"history": tf_keras.saving.deserialize_keras_object(config["history"])})
