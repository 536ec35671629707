"""Piece tables that start from content: ridge regression, checked by the normal equations and by hand."""

from __future__ import annotations

import numpy as np
import pytest

import semid_tf as sid


@pytest.fixture
def embeddings() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


def targets_of(embeddings: np.ndarray, dim: int) -> np.ndarray:
    """Principal content by the singular value decomposition, which the code does not use."""
    centred = embeddings - embeddings.mean(axis=0)
    content = centred @ np.linalg.svd(centred, full_matrices=False)[2][:dim].T
    return content / np.sqrt(np.square(content).sum(axis=1).mean())


def up_to_signs(rows: np.ndarray) -> np.ndarray:
    """An axis has no sign of its own: the first row that is not 0 is made positive."""
    first = rows[np.abs(rows).argmax(axis=0), np.arange(rows.shape[1])]
    return rows * np.sign(np.where(first == 0, 1, first))


def test_one_piece_an_item_starts_at_the_item(embeddings: np.ndarray) -> None:
    table = sid.content_start(np.arange(1, 41)[:, None], embeddings, num_rows=41, dim=4, penalty=0.0)
    np.testing.assert_allclose(up_to_signs(table[1:]), up_to_signs(targets_of(embeddings, 4)), atol=1e-2)
    assert not table[0].any()


def test_rows_solve_the_normal_equations(embeddings: np.ndarray) -> None:
    pieces = np.random.default_rng(1).integers(0, 12, (40, 3))
    counts = np.stack([(pieces == row).sum(axis=1) for row in range(12)], axis=1).astype(float)
    counts[:, 0] = 0
    found = sid.content_start(pieces, embeddings, num_rows=12, dim=3, penalty=2.0)
    wanted = np.linalg.solve(counts.T @ counts + 2.0 * np.eye(12), counts.T @ targets_of(embeddings, 3))
    np.testing.assert_allclose(up_to_signs(found), up_to_signs(wanted), atol=1e-2)


def test_axes_that_the_embeddings_lack_and_pieces_that_no_item_has_start_at_zero(
    embeddings: np.ndarray,
) -> None:
    table = sid.content_start(np.full((40, 1), 3), embeddings, num_rows=6, dim=10)
    assert table.shape == (6, 10)
    assert not table[:, 6:].any()
    assert not table[[0, 1, 2, 4, 5]].any()


def test_equal_embeddings_start_at_zero() -> None:
    assert not sid.content_start(np.array([[1], [2]]), np.ones((2, 3)), num_rows=3, dim=2).any()
