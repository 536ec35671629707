"""Ragged inputs: layers work on the items inside, without padding."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from semid_tf.errors import DataError


def of_items(
    function: Callable[[tf.Tensor], tf.Tensor], items: tf.Tensor | tf.RaggedTensor
) -> tf.Tensor | tf.RaggedTensor:
    """A function of tensors, [...] -> [..., *more], on ragged ones as well."""
    return (
        tf.ragged.map_flat_values(function, items) if isinstance(items, tf.RaggedTensor) else function(items)
    )


def of_rows(
    function: Callable[[tf.Tensor], tf.Tensor], rows: tf.Tensor | tf.RaggedTensor
) -> tf.Tensor | tf.RaggedTensor:
    """The same where an item is a row of features: [..., num] -> [..., *more].

    Raises:
        DataError: the rows themselves are ragged.
    """
    if isinstance(rows, tf.RaggedTensor) and rows.flat_values.shape.rank == 1:
        raise DataError(
            "the last axis, the features of an item, is ragged; give items of equally many, such as "
            "tf.ragged.constant(..., ragged_rank=1)."
        )
    return of_items(function, rows)
