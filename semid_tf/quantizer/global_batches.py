"""From an embedding source to the batches of a fit: shuffled anew each epoch, shared out to the replicas."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from semid_tf.data.embedding_source import EmbeddingSource, WeightedRows, taken
from semid_tf.errors import DataError


class GlobalBatches:
    """The batches of all epochs, one after the other, from any step on.

    The order of an epoch is fixed by the seed and the number of the epoch alone, so a fit that goes on later
    sees what it would have seen.

    Args:
        source: the embeddings.
        count: rows of a pass.
        weight_scale: factor of all weights.
        batch_size: of the whole batch, which the replicas share.
        seed: fixes the order.
    """

    def __init__(
        self, source: EmbeddingSource, count: int, weight_scale: float, batch_size: int, seed: int
    ) -> None:
        self.source, self.count, self.weight_scale = source, count, weight_scale
        self.batch_size, self.seed = batch_size, seed
        self.steps_per_epoch = -(-count // batch_size)

    def from_step(self, step: int) -> Iterator[WeightedRows]:
        """The batches from a step on, without end.

        Raises:
            DataError: a pass has other rows than the first had.
        """
        first, skipped = divmod(step, self.steps_per_epoch)
        for epoch in itertools.count(first):
            batches = self._complete(self.source.shuffled(self.batch_size, (self.seed, epoch)))
            yield from itertools.islice(batches, skipped if epoch == first else 0, None)

    def _complete(self, batches: Iterator[WeightedRows]) -> Iterator[WeightedRows]:
        count = 0
        for embeddings, weights in batches:
            count += len(weights)
            yield WeightedRows(embeddings, weights * self.weight_scale)
        if count != self.count:
            raise DataError(
                f"a pass over the embeddings gave {count} items, the first one {self.count}; leave the files "
                "alone while they are trained on."
            )


class ReplicaBatches:
    """Global batches as the current distribution strategy takes them; each replica has its share of the rows.

    Attributes:
        element_spec: what `next` gives, for a `tf.function`.
    """

    def __init__(self, batches: Callable[[], Iterator[WeightedRows]], dim: int) -> None:
        self._batches, self._failure = batches, list[BaseException]()
        self._signature = (tf.TensorSpec((None, dim), tf.float32), tf.TensorSpec((None,), tf.float32))
        dataset = tf.distribute.get_strategy().distribute_datasets_from_function(self._of_worker)
        self.element_spec = dataset.element_spec
        self._iterator: Any = iter(dataset)

    def __next__(self) -> Any:
        try:
            return next(self._iterator)
        except tf.errors.OpError:
            if self._failure:  # what was raised inside the generator, not TensorFlow's account of it
                raise self._failure[0] from None
            raise

    def close(self) -> None:
        """Ends the reading."""
        self._iterator = None

    def _of_worker(self, context: tf.distribute.InputContext) -> tf.data.Dataset:
        shares = tf.data.Dataset.from_generator(
            lambda: self._noted(self._shares(context)), output_signature=self._signature
        )
        # Without end, so that workers need not ask each other at every step whether it has come.
        endless = shares.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        return endless.prefetch(2)

    def _shares(self, context: tf.distribute.InputContext) -> Iterator[WeightedRows]:
        replicas, workers = context.num_replicas_in_sync, context.num_input_pipelines
        local = replicas // workers
        for rows in self._batches():
            count = len(rows.weights)
            for replica in range(context.input_pipeline_id * local, (context.input_pipeline_id + 1) * local):
                yield taken(rows, slice(count * replica // replicas, count * (replica + 1) // replicas))

    def _noted(self, shares: Iterator[WeightedRows]) -> Iterator[WeightedRows]:
        try:
            yield from shares
        except Exception as error:
            self._failure.append(error)
            raise
