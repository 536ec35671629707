"""Refuses items that no quantizer can be fitted on."""

from __future__ import annotations

import numpy as np

from semid_tf.config import CodeSpace
from semid_tf.data.embedding_source import WeightedRows, weighted_rows
from semid_tf.errors import ConfigError, DataError


def refuse_weights(weights: np.ndarray | None) -> None:
    """Refuses weights beside a source.

    Raises:
        ConfigError: there are some.
    """
    if weights is not None:
        raise ConfigError("weights go with arrays only; an embedding source brings its own.")


def usable_items(embeddings: np.ndarray, weights: np.ndarray | None, code_space: CodeSpace) -> WeightedRows:
    """The items of positive weight; their weights are 1 on average.

    Raises:
        DataError: shapes do not fit; a weight is negative or not finite; a row that counts is not finite;
            fewer items count than the largest level has codes; all embeddings are equal.
    """
    values, weights = weighted_rows(embeddings, weights)
    require_usable(len(values), bool((values == values[:1]).all()), code_space)
    return WeightedRows(values, weights / weights.mean())


def require_usable(num_items: int, all_equal: bool, code_space: CodeSpace) -> None:
    """Refuses too few items, or items that are all equal.

    Raises:
        DataError: fewer items than the largest level has codes; all embeddings are equal.
    """
    if num_items < code_space.largest:
        raise DataError(f"{num_items} items are too few for codebook_size {code_space.largest}; lower it.")
    if all_equal:
        raise DataError("all embeddings are equal; items must differ for Semantic IDs to tell them apart.")
