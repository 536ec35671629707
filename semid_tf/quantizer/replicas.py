"""What the replicas of a distribution strategy must know of each other, so that they stay equal.

Each function may be called in a replica, and where there is no strategy, in which case it costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def global_sum(value: tf.Tensor) -> tf.Tensor:
    """The sum over all replicas, the same on each."""
    context = _several()
    return value if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def global_take(values: tf.Tensor, levels: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Vectors of the whole batch, whose rows are those of replica 0, then of replica 1 and so on.

    Args:
        values: [num_levels, n, dim], of this replica.
        levels: int32 [k].
        rows: int32 [k], of the whole batch; like `levels` the same on each replica.

    Returns:
        [k, dim], the same on each replica.
    """
    context = _several()
    if context is None:
        return tf.gather_nd(values, tf.stack([levels, rows], axis=1))
    count = tf.shape(values)[1]
    own = rows - _first_row(context, count)
    # What other replicas hold is read from a row of zeros behind the last.
    places = tf.where((own >= 0) & (own < count), own, count)
    padded = tf.pad(values, [[0, 0], [0, 1], [0, 0]])
    return global_sum(tf.gather_nd(padded, tf.stack([levels, places], axis=1)))


def global_column(values: tf.Tensor) -> tf.Tensor:
    """The numbers of the whole batch, [all rows], of this replica's [n]; in the order of `global_take`."""
    rows = tf.range(global_sum(tf.shape(values)[0]))
    return global_take(values[None, :, None], tf.zeros_like(rows), rows)[:, 0]


def as_in_whole_batch(function: Callable[[tf.Tensor], tf.Tensor], rows: tf.Tensor) -> tf.Tensor:
    """What a function of [rows, dim] that draws at random gives for this replica's rows, [n, dim].

    It is called with as many rows as the whole batch has, this replica's at their places, so that a row meets
    what one replica alone would draw for it.
    """
    context = _several()
    if context is None:
        return function(rows)
    count = tf.shape(rows)[0]
    first, whole = _first_row(context, count), global_sum(count)
    return function(tf.pad(rows, [[first, whole - first - count], [0, 0]]))[first : first + count]


def update_rows(variable: tf.Variable, places: tf.Tensor, rows: tf.Tensor) -> None:
    """Writes rows [k, dim] at int32 [k, 2] places of a variable [num_levels, codebook_size, dim]."""
    if _several() is None:
        variable.scatter_nd_update(places, rows)
    else:
        variable.assign(tf.tensor_scatter_nd_update(variable, places, rows))


def copy_from_first_replica(variables: list[tf.Variable]) -> None:
    """Gives variables the values that they have on the first replica; called outside of the replicas.

    Workers that compute the same start on other machines may round otherwise.
    """
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1:
        return

    @tf.function
    def first_ones() -> list[tf.Tensor]:
        return [strategy.reduce("SUM", own, axis=None) for own in strategy.run(only_of_first)]

    def only_of_first() -> list[tf.Tensor]:
        first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
        return [tf.where(first, variable, tf.zeros_like(variable)) for variable in variables]

    for variable, value in zip(variables, first_ones(), strict=True):
        variable.assign(value)


def equal_on_all_replicas(value: int) -> bool:
    """Whether all workers hold the same whole number; called outside of the replicas."""
    strategy = tf.distribute.get_strategy()

    @tf.function
    def total(own: tf.Tensor) -> tf.Tensor:
        return strategy.reduce("SUM", strategy.run(tf.identity, args=(own,)), axis=None)

    return int(total(tf.constant(value, tf.int64))) == value * strategy.num_replicas_in_sync


def _several() -> tf.distribute.ReplicaContext | None:
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def _first_row(context: tf.distribute.ReplicaContext, count: tf.Tensor) -> tf.Tensor:
    """Where this replica's rows begin in the whole batch."""
    replica, replicas = context.replica_id_in_sync_group, context.num_replicas_in_sync
    counts = global_sum(count * tf.one_hot(replica, replicas, dtype=tf.int32))
    return tf.reduce_sum(counts * tf.cast(tf.range(replicas) < replica, tf.int32))
