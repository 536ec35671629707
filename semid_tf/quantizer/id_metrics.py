"""How many items share a Semantic ID, as Keras metrics."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.config import CodeSpace
from semid_tf.errors import ConfigError
from semid_tf.quantizer.code_metrics import rows_that_count

_PACKED_BITS = 63


def id_keys(rows: tf.Tensor, code_space: CodeSpace) -> tf.Tensor:
    """One key for each row of codes, int64 [n, num_levels] in range: int64 [n].

    Exact, as numbers of mixed radix, where there are at most 2**63 Semantic IDs. Beyond that, FarmHash64
    fingerprints: two of 1,000,000 different Semantic IDs have the same with a probability of 3e-8.
    """
    sizes = code_space.codebook_sizes
    if math.prod(sizes) > 2**_PACKED_BITS:
        octets = tf.reshape(tf.bitcast(rows, tf.uint8), (-1, 8 * len(sizes)))
        return tf.bitcast(tf.fingerprint(octets), tf.int64)
    keys = tf.zeros_like(rows[:, 0])
    for level, size in enumerate(sizes):
        keys = keys * size + rows[:, level]
    return keys


class IDCounts(tf_keras.metrics.Metric):
    """Counts the items of each Semantic ID; what is told of the counts is up to the class below.

    `update_state(codes)` takes int [..., num_levels] in range; inside `compile(metrics=...)` the codes are
    the output of the model, `y_pred`. Rows of weight 0 (padding) do not count, all others count once, so
    show each item once. The state is a hash table, key -> count: about 50 bytes a Semantic ID in use. It
    lives in one process and is not summed over replicas, which are refused; it is exact up to 2**63 possible
    Semantic IDs, see `id_keys`.

    Args:
        code_space: levels and their codes.
        name: of the metric.

    Raises:
        ConfigError: it is updated under a strategy of several replicas.
    """

    def __init__(self, code_space: CodeSpace, name: str, dtype: Any = "float64", **kwargs: Any) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.code_space = code_space
        self._table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, 0)

    def update_state(self, y_true: Any, y_pred: Any = None, sample_weight: Any = None) -> None:
        """Adds a batch."""
        if (replicas := tf.distribute.get_strategy().num_replicas_in_sync) > 1:
            raise ConfigError(f"{self.name} counts on one replica, not on {replicas}; evaluate without them.")
        codes = y_true if y_pred is None else y_pred
        rows = rows_that_count(codes, self.code_space.num_levels, sample_weight)
        found = tf.unique_with_counts(id_keys(rows, self.code_space), tf.int64)
        self._table.insert(found.y, self._table.lookup(found.y) + found.count)

    def counts(self) -> tf.Tensor:
        """Items of each Semantic ID in use, in no order: int64 [distinct]."""
        return self._table.export()[1]

    def reset_state(self) -> None:
        """Forgets all batches."""
        self._table.remove(self._table.export()[0])

    def get_config(self) -> dict[str, Any]:
        space = self.code_space
        return super().get_config() | {"num_levels": space.num_levels, "codebook_size": space.codebook_size}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> IDCounts:
        rest = dict(config)
        return cls(CodeSpace(rest.pop("num_levels"), rest.pop("codebook_size")), **rest)


@tf_keras.saving.register_keras_serializable("semid_tf")
class UniqueRate(IDCounts):
    """Different Semantic IDs for each item, over all batches; NaN before the first. See `IDCounts`.

    >>> metric = UniqueRate(CodeSpace(2, 4))
    >>> metric.update_state([[0, 1], [0, 1]])
    >>> metric.update_state([[0, 1], [2, 3]])
    >>> float(metric.result())
    0.5
    """

    def __init__(self, code_space: CodeSpace, name: str = "unique_rate", **kwargs: Any) -> None:
        super().__init__(code_space, name, **kwargs)

    def result(self) -> tf.Tensor:
        """Over all rows so far, a scalar in (0, 1]."""
        counts = self.counts()
        return tf.cast(tf.size(counts), self.dtype) / tf.cast(tf.reduce_sum(counts), self.dtype)


@tf_keras.saving.register_keras_serializable("semid_tf")
class ItemsPerID(IDCounts):
    """Items of a Semantic ID in use: their mean and the most, over all batches. See `IDCounts`.

    >>> metric = ItemsPerID(CodeSpace(2, 4))
    >>> metric.update_state([[0, 1], [0, 1], [2, 3]])
    >>> {name: float(figure) for name, figure in metric.result().items()}
    {'items_per_id_mean': 1.5, 'items_per_id_max': 2.0}
    """

    def __init__(self, code_space: CodeSpace, name: str = "items_per_id", **kwargs: Any) -> None:
        super().__init__(code_space, name, **kwargs)

    def result(self) -> dict[str, tf.Tensor]:
        """Over all rows so far: two scalars; NaN and 0 before the first."""
        counts = tf.cast(self.counts(), self.dtype)
        most = tf.reduce_max(tf.concat([counts, tf.zeros(1, self.dtype)], 0))
        return {f"{self.name}_mean": tf.reduce_mean(counts), f"{self.name}_max": most}
