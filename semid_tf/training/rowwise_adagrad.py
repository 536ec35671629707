"""An optimizer for big tables: one number of state a row."""

from __future__ import annotations

import re
from typing import Any

import tensorflow as tf
import tf_keras

_TABLE = re.compile(r"(.*/)?table(/part_\d+)?(:\d+)?")  # or a shard of one


@tf_keras.saving.register_keras_serializable("semid_tf")
class RowwiseAdagrad(tf_keras.optimizers.Adam):
    """Row-wise Adagrad for embedding tables, Adam for all else.

    A table, a weight named `table`, has one accumulator a row, of the mean square of its gradients (as in
    DLRM, arXiv 1906.00091), where Adam has two numbers for each of its weights. Rows that a batch does not
    meet are neither read nor written, so that a step costs the same whatever the size of the table.

    Args:
        learning_rate: of Adam, or a schedule.
        table_learning_rate: of the tables.
        initial_accumulator: what rows start from; small ones make the first steps of a row as large as its
            rate.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        table_learning_rate: float = 0.02,
        initial_accumulator: float = 0.0,
        name: str = "RowwiseAdagrad",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name=name, **kwargs | {"jit_compile": False})
        self.table_learning_rate, self.initial_accumulator = table_learning_rate, initial_accumulator
        self._rows: list[tf.Variable] = []

    def build(self, var_list: list[tf.Variable]) -> None:
        tables = [variable for variable in var_list if _is_table(variable)]
        super().build([variable for variable in var_list if not _is_table(variable)])
        for table in tables:
            if self._var_key(table) not in self._index_dict:
                start = tf.fill(table.shape[:1], tf.cast(self.initial_accumulator, table.dtype))
                self._rows.append(self.add_variable_from_reference(table, "rows", initial_value=start))
                self._index_dict[self._var_key(table)] = -len(self._rows)  # below 0: a table, without moments

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        place = self._index_dict[self._var_key(variable)]
        if place >= 0:
            super().update_step(gradient, variable)
            return
        if not isinstance(gradient, tf.IndexedSlices):
            gradient = tf.IndexedSlices(gradient, tf.range(tf.shape(variable)[0]))
        rows, values, indices = self._rows[-place - 1], gradient.values, gradient.indices
        rows.scatter_add(tf.IndexedSlices(tf.reduce_mean(tf.square(values), axis=1), indices))
        scale = tf.math.rsqrt(tf.gather(rows, indices) + self.epsilon)
        step = self.table_learning_rate * scale[:, None] * values
        variable.scatter_sub(tf.IndexedSlices(step, indices))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "table_learning_rate": self.table_learning_rate,
            "initial_accumulator": self.initial_accumulator,
        }


def _is_table(variable: tf.Variable) -> bool:
    return _TABLE.fullmatch(variable.name) is not None
