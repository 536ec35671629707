"""All levels of residual k-means together: codewords move to what all the other levels leave for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import tensorflow as tf
from scipy import sparse

from semid_tf.quantizer.beam import beam_codes
from semid_tf.quantizer.search import search_level

_CHUNK = 8192
_OVERSTEP = 1.6


def refine(
    points: np.ndarray, weights: np.ndarray, codebooks: list[np.ndarray], rounds: int, beam_width: int = 1
) -> list[np.ndarray]:
    """Lloyd's algorithm on all levels at once.

    Fitted in turn, a level knows nothing of those after it. A round moves each codeword by the mean of what
    all levels together leave of its items, and codes all items anew; a code without items moves to what its
    level had to code of an item that is restored badly. It costs as much as an iteration of k-means on each
    level. Under greedy codes they move 1.6 times that far, since the levels move one after the other
    (over-relaxation); a beam gives items other codes at many levels at once, and would be overshot.

    Args:
        points: float32 [n, dim].
        weights: float32 [n], positive.
        codebooks: float32 [size, dim], one a level.
        rounds: how many.
        beam_width: of the search for codes, see `beam_codes`.

    Returns:
        The codebooks of the round, the start included, with the least squared error.
    """
    chunks = [tf.constant(points[start : start + _CHUNK]) for start in range(0, len(points), _CHUNK)]
    overstep = _OVERSTEP if beam_width == 1 else 1.0
    # One of its own: shared with calls of other shapes, it would forget how long the codebooks are.
    code = tf.function(partial(_coded_chunk, beam_width), reduce_retracing=True, autograph=False)
    best, least = codebooks, np.inf
    for turn in range(rounds + 1):
        codes, left = _coded(chunks, codebooks, code)
        error = float(np.average(np.einsum("nd,nd->n", left, left), weights=weights))
        if error < least:
            best, least = codebooks, error
        if turn < rounds:
            codebooks = _moved(left, weights, codebooks, codes, overstep)
    return best


def _coded(
    chunks: list[tf.Tensor], codebooks: list[np.ndarray], code: Callable[..., tuple[tf.Tensor, tf.Tensor]]
) -> tuple[np.ndarray, np.ndarray]:
    """Codes of all points, and what the levels leave of them."""
    books = [tf.constant(book) for book in codebooks]
    parts = [code(chunk, books) for chunk in chunks]
    return np.concatenate([codes.numpy() for codes, _ in parts]), np.concatenate(
        [p[1].numpy() for p in parts]
    )


def _coded_chunk(beam_width: int, points: tf.Tensor, books: list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    codes = beam_codes(points, [search_level(book) for book in books], beam_width)
    words = [tf.gather(book, codes[:, level]) for level, book in enumerate(books)]
    return codes, points - tf.add_n(words)


def _moved(
    left: np.ndarray, weights: np.ndarray, codebooks: list[np.ndarray], codes: np.ndarray, overstep: float
) -> list[np.ndarray]:
    moved, starts = [], np.arange(len(left) + 1)
    for book, code in zip(codebooks, codes.T, strict=True):
        members = sparse.csc_matrix((weights, code, starts), shape=(len(book), len(left)))
        totals = np.bincount(code, weights=weights, minlength=len(book))
        step = (members @ left) / np.maximum(totals, np.finfo(np.float32).tiny)[:, None]
        step = (overstep * step).astype(np.float32)
        moved.append(book + step)
        if len(empty := np.flatnonzero(totals == 0)):
            far = np.argsort(-np.einsum("nd,nd->n", left, left) * weights, kind="stable")[: len(empty)]
            moved[-1][empty] = left[far] + book[code[far]]
        left -= step[code]
    return moved
