"""What is known of a request besides items: numbers and strings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.layers import HashedEmbedding


@tf_keras.saving.register_keras_serializable("semid_tf")
class ContextFeatures(tf_keras.layers.Layer):
    """Numbers and strings of a request to one vector: a dict of [b] tensors to float32 [b, dim].

    Numbers are brought to a bounded scale by sign(x) log(1 + |x|) and go through a linear layer; each string
    is hashed into a table of its own. What is missing, no finite number or the empty string, adds nothing.

    Args:
        numbers: names of numbers, float32.
        strings: names of strings, and rows of the table of each.
        dim: of the vector.
        seed: fixes the start.
        l2, dropout: of the tables, see `PieceEmbedding`.
    """

    def __init__(
        self,
        numbers: Sequence[str],
        strings: Mapping[str, int],
        dim: int,
        seed: int = 0,
        l2: float = 0.0,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.numbers, self.strings, self.dim, self.seed = tuple(numbers), dict(strings), dim, seed
        self.l2, self.dropout = l2, dropout
        self.tables = {
            name: HashedEmbedding(rows, dim, seed, l2, dropout) for name, rows in self.strings.items()
        }

    def build(self, input_shape: Any = None) -> None:
        start = tf_keras.initializers.RandomUniform(-0.05, 0.05, seed=self.seed)
        self.kernel = self.add_weight(name="kernel", shape=(len(self.numbers), self.dim), initializer=start)
        super().build(input_shape)

    def call(self, context: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        parts = [self._of_numbers(context)] if self.numbers else []
        strings = [table(context[name], training=training) for name, table in self.tables.items()]
        return tf.add_n([*parts, *strings])

    def _of_numbers(self, context: dict[str, tf.Tensor]) -> tf.Tensor:
        values = tf.stack([context[name] for name in self.numbers], axis=-1)
        values = tf.where(tf.math.is_finite(values), values, 0.0)
        return (tf.sign(values) * tf.math.log1p(tf.abs(values))) @ self.kernel

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "numbers": list(self.numbers),
            "strings": self.strings,
            "dim": self.dim,
            "seed": self.seed,
            "l2": self.l2,
            "dropout": self.dropout,
        }
