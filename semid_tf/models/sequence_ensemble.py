"""Several sequence models as one: their scores added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.errors import ConfigError
from semid_tf.models.sequence_scorer import SequenceScorer


@tf_keras.saving.register_keras_serializable("semid_tf")
class SequenceEnsemble(SequenceScorer):
    """Trained members side by side; an item's score is the sum of theirs.

    Vectors and states are those of the members one behind the other, so that inner products add up. Members
    of other seeds or backbones err differently, which the sum evens out.

    Args:
        members: of one catalogue and one longest history.

    Raises:
        ConfigError: there is none, or their longest histories differ.
    """

    def __init__(self, members: Sequence[SequenceScorer], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        lengths = sorted({member.max_length for member in members})
        if len(lengths) != 1:
            raise ConfigError(f"an ensemble needs members of one max_length, got {lengths or 'no member'}.")
        self.members = list(members)
        self(tf.zeros((1, 1), tf.int32))

    @property
    def max_length(self) -> int:
        return self.members[0].max_length

    def vectors(self, items: tf.Tensor) -> tf.Tensor:
        return tf.concat([member.vectors(items) for member in self.members], axis=1)

    def of_content(self, embeddings: tf.Tensor) -> tf.Tensor:
        return tf.concat([member.of_content(embeddings) for member in self.members], axis=1)

    def of_vectors(self, vectors: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        parts = tf.split(vectors, [member.dim for member in self.members], axis=-1)
        states = [member.of_vectors(part, known) for member, part in zip(self.members, parts, strict=True)]
        return tf.concat(states, axis=1)

    @property
    def dim(self) -> int:
        return sum(member.dim for member in self.members)

    def get_config(self) -> dict[str, Any]:
        return {"members": [tf_keras.saving.serialize_keras_object(member) for member in self.members]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SequenceEnsemble:
        return cls([tf_keras.saving.deserialize_keras_object(member) for member in config["members"]])
