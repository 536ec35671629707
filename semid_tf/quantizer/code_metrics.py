"""Codes used and perplexity of every level as Keras metrics."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.config import CodeSpace


def rows_that_count(codes: Any, num_levels: int, sample_weight: Any) -> tf.Tensor:
    """Codes, int [..., num_levels], without the rows of weight 0: int64 [m, num_levels]."""
    rows = tf.reshape(tf.cast(codes, tf.int64), (-1, num_levels))
    if sample_weight is None:
        return rows
    return tf.boolean_mask(rows, tf.reshape(tf.convert_to_tensor(sample_weight), (-1,)) != 0)


class CodeCounts(tf_keras.metrics.Metric):
    """Counts how many items have each code; what is told of the counts is up to the class below.

    `update_state(codes)` takes int [..., num_levels]; inside `compile(metrics=...)` the codes are the output
    of the model, `y_pred`. Rows of weight 0 (padding) do not count, all others count once. `result` is one
    scalar a level, named by it: a mean over levels would hide a dead one, and Keras shows and logs each by
    its name.

    Args:
        code_space: levels and their codes.
        name: of the metric; the figures are `<name>_0`, `<name>_1`, ...
    """

    def __init__(self, code_space: CodeSpace, name: str, dtype: Any = "float64", **kwargs: Any) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.code_space = code_space
        sizes = code_space.codebook_sizes
        self.counts = self.add_weight("counts", shape=(len(sizes), max(sizes)), initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any = None, sample_weight: Any = None) -> None:
        """Adds a batch."""
        sizes = self.code_space.codebook_sizes
        rows = rows_that_count(y_true if y_pred is None else y_pred, len(sizes), sample_weight)
        in_range = tf.logical_and(rows >= 0, rows < tf.constant(sizes, tf.int64))
        tf.debugging.Assert(tf.reduce_all(in_range), [f"{self.name}: codes are out of range of {sizes}"])
        width = self.counts.shape[1]
        cells = tf.reshape(rows + width * tf.range(len(sizes), dtype=tf.int64), (-1,))
        found = tf.math.unsorted_segment_sum(tf.ones_like(cells, self.dtype), cells, len(sizes) * width)
        self.counts.assign_add(tf.reshape(found, self.counts.shape))

    def per_level(self) -> tf.Tensor:
        """The figures of all levels, float [num_levels]."""
        raise NotImplementedError

    def result(self) -> dict[str, tf.Tensor]:
        """One scalar a level."""
        figures = self.per_level()
        return {f"{self.name}_{level}": figures[level] for level in range(self.code_space.num_levels)}

    def reset_state(self) -> None:
        """Forgets all batches."""
        self.counts.assign(tf.zeros_like(self.counts))

    def get_config(self) -> dict[str, Any]:
        space = self.code_space
        return super().get_config() | {"num_levels": space.num_levels, "codebook_size": space.codebook_size}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CodeCounts:
        rest = dict(config)
        return cls(CodeSpace(rest.pop("num_levels"), rest.pop("codebook_size")), **rest)


@tf_keras.saving.register_keras_serializable("semid_tf")
class CodesUsed(CodeCounts):
    """Codes that at least one item has, a level. Takes codes; see `CodeCounts` for what counts.

    >>> metric = CodesUsed(CodeSpace(2, 4))
    >>> metric.update_state([[0, 1], [0, 3]])
    >>> {name: float(figure) for name, figure in metric.result().items()}
    {'codes_used_0': 1.0, 'codes_used_1': 2.0}
    """

    def __init__(self, code_space: CodeSpace, name: str = "codes_used", **kwargs: Any) -> None:
        super().__init__(code_space, name, **kwargs)

    def per_level(self) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(self.counts > 0, self.dtype), axis=1)


@tf_keras.saving.register_keras_serializable("semid_tf")
class CodePerplexity(CodeCounts):
    """exp of the entropy of the codes, a level; NaN before the first item. Takes codes; see `CodeCounts`.

    >>> metric = CodePerplexity(CodeSpace(1, 4))
    >>> metric.update_state([[0], [1]])
    >>> round(float(metric.result()["perplexity_0"]), 6)
    2.0
    """

    def __init__(self, code_space: CodeSpace, name: str = "perplexity", **kwargs: Any) -> None:
        super().__init__(code_space, name, **kwargs)

    def per_level(self) -> tf.Tensor:
        shares = self.counts / tf.reduce_sum(self.counts, axis=1, keepdims=True)
        return tf.exp(-tf.reduce_sum(tf.math.xlogy(shares, shares), axis=1))
