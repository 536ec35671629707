"""The items that a sequence model expects next: exact top-k over all items, also those added since."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from semid_tf.data.finite import finite_float32
from semid_tf.errors import DataError
from semid_tf.models.sequence_scorer import SequenceScorer

_NEVER = -1e9


class TopItems(NamedTuple):
    """Best first: item indices int32 [b, k] and their scores float32 [b, k].

    Where the history leaves fewer than k items, the answer ends with 0, padding, at scores of -1e9.
    """

    items: tf.Tensor
    scores: tf.Tensor


class NextItems(tf.Module):
    """A trained model and the vectors of all items, computed once.

    Args:
        model: makes a state of a history; an item's score is its inner product with the item's vector.
        vectors: float32 [num_items + 1, dim]; row 0 is padding. See `of`.
    """

    def __init__(self, model: SequenceScorer, vectors: tf.Tensor) -> None:
        super().__init__()
        self.model, self.vectors = model, tf.Variable(vectors, trainable=False, name="vectors")

    @classmethod
    def of(cls, model: SequenceScorer, num_items: int) -> NextItems:
        """The items that the model knows."""
        return cls(model, model.vectors(tf.range(num_items + 1)))

    @property
    def num_items(self) -> int:
        """Items that can be recommended, and stand in a history."""
        return int(self.vectors.shape[0]) - 1

    def with_new(self, embeddings: np.ndarray) -> NextItems:
        """The same and new items, known by content alone, float [n, embedding_dim]; no training.

        They get the item indices num_items + 1 to num_items + n.

        Raises:
            DataError: an embedding is not finite.
        """
        new = self.model.of_content(tf.constant(finite_float32(embeddings)))
        return NextItems(self.model, tf.concat([self.vectors, new], axis=0))

    def states(self, histories: tf.Tensor) -> tf.Tensor:
        """What histories say, float32 [b, dim]; int32 [b, p], latest last, padded with 0 anywhere.

        The latest `max_length` items of a history are looked at; p may be 0.
        """
        one_at_least = tf.pad(histories, ((0, 0), (1, 0)))
        latest = _compact(one_at_least)[:, -self.model.max_length :]
        return self.model.of_vectors(tf.gather(self.vectors, latest), latest > 0)

    def top(self, histories: tf.Tensor, k: int) -> TopItems:
        """The k items that come next, exactly; items of the history itself are left out.

        Args:
            histories: int32 [b, p] of item indices.
            k: at most num_items; see `TopItems` where fewer are left.

        Raises:
            DataError: k is below 1 or above the number of items.
        """
        if not 1 <= k <= self.num_items:
            raise DataError(f"k must lie between 1 and the {self.num_items} items, got {k}.")
        scores = tf.matmul(self.states(histories), self.vectors, transpose_b=True)
        best = tf.math.top_k(without(scores, histories), k)
        return TopItems(tf.where(best.values > _NEVER, best.indices, 0), best.values)

    def fill(self, index: tfrs.layers.factorized_top_k.TopK, batch: int = 4096) -> None:
        """Puts all items into an index of TFRS, exact (`BruteForce`, `Streaming`) or approximate (`ScaNN`).

        Ask it with `index.query_with_exclusions(next_items.states(histories), histories)`; it names item
        indices.
        """
        items = tf.data.Dataset.range(1, self.num_items + 1, output_type=tf.int32).batch(batch)
        index.index_from_dataset(items.map(lambda rows: (rows, tf.gather(self.vectors, rows))))


def without(scores: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """Scores, float32 [b, num_items + 1], pushed to the bottom for padding and for items int32 [b, p]."""
    rows = tf.broadcast_to(tf.range(tf.shape(items)[0])[:, None], tf.shape(items))
    places = tf.reshape(tf.stack([rows, items], axis=-1), (-1, 2))
    scores = tf.tensor_scatter_nd_min(scores, places, tf.fill(tf.shape(places)[:1], _NEVER))
    return tf.concat([tf.fill(tf.shape(scores[:, :1]), _NEVER), scores[:, 1:]], axis=1)


def _compact(histories: tf.Tensor) -> tf.Tensor:
    """The same items in their order with all padding on the left."""
    order = tf.argsort(tf.cast(histories > 0, tf.int32), axis=1, stable=True)
    return tf.gather(histories, order, axis=1, batch_dims=1)
