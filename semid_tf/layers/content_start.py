"""A start for piece tables: pieces whose sums are what the items are."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.linear_model import Ridge

_TOLERANCE = 1e-3


def content_start(
    piece_ids: np.ndarray, embeddings: np.ndarray, num_rows: int, dim: int, penalty: float = 1.0
) -> np.ndarray:
    """Rows of a piece table such that an item's rows sum to its content embedding, as well as they can.

    Targets are the embeddings on their `dim` principal axes, scaled to a mean squared norm of 1; the rows are
    their ridge regression on the pieces. So a ranker starts from what items mean, and a cold item whose
    pieces were hardly trained stands near its kin. Works for any tokenizer; a piece that no item has starts
    at zero.

    Args:
        piece_ids: int32 [n, num_pieces], each in [0, num_rows), 0 = padding.
        embeddings: float [n, embedding_dim].
        num_rows: of the table, the padding row included.
        dim: of the table; axes beyond embedding_dim start at zero.
        penalty: of the ridge regression; an item of many pieces shares its content among them more evenly
            where it is large.

    Returns:
        float32 [num_rows, dim].

    >>> rows = content_start(np.array([[1], [2]]), np.array([[0.0], [2.0]]), num_rows=4, dim=1, penalty=0.0)
    >>> rows[:, 0].round(3).tolist() in ([0.0, -1.0, 1.0, 0.0], [0.0, 1.0, -1.0, 0.0])
    True
    """
    table = np.zeros((num_rows, dim), np.float32)
    targets = _principal_content(embeddings, dim)
    ridge = Ridge(alpha=penalty, fit_intercept=False, solver="sparse_cg", tol=_TOLERANCE)
    rows = ridge.fit(_occurrences(piece_ids, num_rows), targets).coef_
    table[:, : targets.shape[1]] = rows.reshape(targets.shape[1], num_rows).T
    return table


def _principal_content(embeddings: np.ndarray, dim: int) -> np.ndarray:
    centred = embeddings - embeddings.mean(axis=0, dtype=np.float64)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :dim]
    content = centred @ axes
    norm = np.sqrt(np.square(content).sum(axis=1).mean())
    return content / (norm or 1.0)


def _occurrences(piece_ids: np.ndarray, num_rows: int) -> sparse.csr_matrix:
    """How often each item has each piece, padding left out: [n, num_rows]."""
    known = piece_ids > 0
    items = np.broadcast_to(np.arange(len(piece_ids))[:, None], piece_ids.shape)
    ones = np.ones(int(known.sum()))
    return sparse.csr_matrix((ones, (items[known], piece_ids[known])), (len(piece_ids), num_rows))
