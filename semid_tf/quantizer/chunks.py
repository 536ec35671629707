"""Functions of tensors over more rows than go through at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

_ROWS = 4096


def in_chunks(function: Callable[[np.ndarray], tf.Tensor], rows: np.ndarray) -> np.ndarray:
    """function of rows [n, ...], n at least 1, in chunks of 4,096: [n, ...]."""
    chunks = range(0, len(rows), _ROWS)
    return np.concatenate([function(rows[i : i + _ROWS]).numpy() for i in chunks])
