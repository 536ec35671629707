"""Whether two quantizers see the same items together."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import adjusted_rand_score

from semid_tf.errors import DataError
from semid_tf.ids import tuple_numbers


def prefix_stability(codes: np.ndarray, other: np.ndarray) -> list[float]:
    """How alike two quantizers group the same items, by prefixes of length 1, 2, ...

    Code 7 of one quantizer has nothing to do with code 7 of another, so equal codes tell nothing. What can be
    compared is which pairs of items share a prefix: the adjusted Rand index (Hubert and Arabie 1985) counts
    pairs that are together in both or apart in both, and subtracts what chance gives for groups of these
    sizes. Renaming codes changes nothing. Time and memory: linear in the items, by a sparse table.

    Args:
        codes: int [n, num_levels], of one quantizer.
        other: int [n, num_levels], of another one; row i is the same item.

    Returns:
        One figure a prefix length: 1 = the same groups, 0 = as chance has it; a little below 0 is possible.

    >>> prefix_stability(np.array([[0, 0], [0, 1], [3, 0]]), np.array([[9, 5], [9, 2], [4, 5]]))
    [1.0, 1.0]

    Raises:
        DataError: the shapes differ.
    """
    if codes.shape != other.shape or codes.ndim != 2:
        raise DataError(
            f"codes have shapes {list(codes.shape)} and {list(other.shape)}; both must be [items, levels]."
        )
    lengths = range(1, codes.shape[1] + 1)
    return [_agreement(tuple_numbers(codes[:, :n]), tuple_numbers(other[:, :n])) for n in lengths]


def _agreement(groups: np.ndarray, others: np.ndarray) -> float:
    return float(adjusted_rand_score(groups, others))
