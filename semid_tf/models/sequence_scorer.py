"""What ranks, recommends and exports takes of a sequence model: vectors of items, states of histories."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs


class SequenceScorer(tfrs.Model):
    """Base of sequence models: an item's score is the inner product of a state and the item's vector."""

    @property
    def max_length(self) -> int:
        """Events of a history that are looked at."""
        raise NotImplementedError

    @property
    def dim(self) -> int:
        """Of vectors and states."""
        raise NotImplementedError

    def vectors(self, items: tf.Tensor) -> tf.Tensor:
        """Vectors of items, int32 [n]: float32 [n, dim]."""
        raise NotImplementedError

    def of_content(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Vectors of items that training never saw, from content float32 [n, embedding_dim] alone."""
        raise NotImplementedError

    def of_vectors(self, vectors: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        """What vectors of histories say: float32 [b, p, dim] and bool [b, p], latest last -> [b, dim]."""
        raise NotImplementedError

    def call(self, histories: tf.Tensor, training: bool = False) -> tf.Tensor:
        """What histories say, float32 [b, dim].

        Args:
            histories: int32 [b, p] of item indices, latest last, padded with 0 on the left.
        """
        items, place = tf.unique(tf.reshape(histories, [-1]))
        vectors = tf.gather(self.vectors(items), tf.reshape(place, tf.shape(histories)))
        return self.of_vectors(vectors, histories > 0)

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Nothing to do: a model is built when it is made."""
