"""All levels of residual k-means together: codewords move to what all the other levels leave for them."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from semid_tf.quantizer.kmeans import nearest_of

_OVERSTEP = 1.6


def refine(
    points: np.ndarray, weights: np.ndarray, codebooks: list[np.ndarray], codes: np.ndarray, rounds: int
) -> list[np.ndarray]:
    """Lloyd's algorithm on all levels at once.

    Fitted in turn, a level knows nothing of those after it. A round moves each codeword by the mean of what
    all levels together leave of its items, 1.6 times that far, since the levels move one after the other
    (over-relaxation), and codes all items anew. It costs as much as an iteration of k-means on each level.

    Args:
        points: float32 [n, dim].
        weights: float32 [n], positive.
        codebooks: float32 [size, dim], one a level.
        codes: of the points under the codebooks, int32 [n, num_levels].
        rounds: how many.

    Returns:
        The codebooks of the round, the start included, with the least squared error.
    """
    best, least = codebooks, np.inf
    for turn in range(rounds + 1):
        codes, left = _coded(points, codebooks) if turn else (codes, _left(points, codebooks, codes))
        error = float(np.average(np.square(left).sum(axis=1), weights=weights))
        if error < least:
            best, least = codebooks, error
        if turn < rounds:
            codebooks = _moved(left, weights, codebooks, codes)
    return best


def _left(points: np.ndarray, codebooks: list[np.ndarray], codes: np.ndarray) -> np.ndarray:
    left = points.copy()
    for book, code in zip(codebooks, codes.T, strict=True):
        left -= book[code]
    return left


def _coded(points: np.ndarray, codebooks: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    codes, left = [], points.copy()
    for book in codebooks:
        codes.append(nearest_of(left)(book))
        left -= book[codes[-1]]
    return np.stack(codes, axis=1), left


def _moved(
    left: np.ndarray, weights: np.ndarray, codebooks: list[np.ndarray], codes: np.ndarray
) -> list[np.ndarray]:
    moved, starts = [], np.arange(len(left) + 1)
    for book, code in zip(codebooks, codes.T, strict=True):
        members = sparse.csc_matrix((weights, code, starts), shape=(len(book), len(left)))
        totals = np.bincount(code, weights=weights, minlength=len(book))
        step = (members @ left) / np.maximum(totals, np.finfo(np.float32).tiny)[:, None]
        step = (_OVERSTEP * step).astype(np.float32)
        moved.append(book + step)
        left -= step[code]
    return moved
