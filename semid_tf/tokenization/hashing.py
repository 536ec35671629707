"""A hash of code groups that NumPy and TensorFlow compute alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import tensorflow as tf

Array = TypeVar("Array", np.ndarray, tf.Tensor)

_PRIME = 2**31 - 1
_FACTOR = 1_664_525_013
_SHIFT = 982_451_653


def hash_group(codes: Sequence[Array], position: int, num_rows: int) -> Array:
    """Rows of a group of codes in a table of `num_rows`, row 0 left free for padding.

    A polynomial modulo the prime 2^31 - 1, started by the position of the group, so that equal codes at
    other positions fall on other rows. All products stay below 2^62: nothing wraps.

    Args:
        codes: int64 arrays of one shape, coarsest first.
        position: of the group within the Semantic ID.
        num_rows: of the table, at least 2.

    Returns:
        int64 of the same shape, each in [1, num_rows).
    """
    value = codes[0] * 0 + (position + 1) * _SHIFT % _PRIME
    for code in codes:
        value = ((value + code + 1) * _FACTOR) % _PRIME
    return value % (num_rows - 1) + 1
