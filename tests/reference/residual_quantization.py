"""Residual quantization and the RQ-VAE's loss in plain NumPy and float64 (Singh et al. 2024, sec. 3.1)."""

from __future__ import annotations

import numpy as np


def squared_distances(vectors: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """[n, codebook_size]."""
    differences = vectors.astype(np.float64)[:, None, :] - codebook.astype(np.float64)[None, :, :]
    return np.square(differences).sum(axis=2)


def residuals_and_codes(latent: np.ndarray, codebooks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each level had to code, and after the last the rest: [levels + 1, n, dim]; codes [n, levels]."""
    residuals, codes = [latent.astype(np.float64)], []
    for codebook in codebooks:
        codes.append(squared_distances(residuals[-1], codebook).argmin(axis=1))
        residuals.append(residuals[-1] - codebook.astype(np.float64)[codes[-1]])
    return np.stack(residuals), np.stack(codes, axis=1)


def too_far(latent: np.ndarray, codebooks: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """How much further than the nearest codeword the chosen one is, squared, under an item's earlier codes:
    [n, levels]. What rounding may add grows with the squared lengths."""
    excess, left = [], latent.astype(np.float64)
    for codebook, chosen in zip(codebooks, codes.T, strict=True):
        words = codebook.astype(np.float64)
        gaps = np.square(words).sum(axis=1) - 2 * left @ words.T
        excess.append(gaps[np.arange(len(left)), chosen] - gaps.min(axis=1))
        left = left - words[chosen]
    return np.stack(excess, axis=1)


def decode(codes: np.ndarray, codebooks: np.ndarray) -> np.ndarray:
    """Sum of the codewords: [n, dim]."""
    return sum(book.astype(np.float64)[codes[:, level]] for level, book in enumerate(codebooks))


def losses(
    inputs: np.ndarray, restored: np.ndarray, residuals: np.ndarray, commitment_weight: float
) -> np.ndarray:
    """Loss of each item, [n]; what a level leaves is its distance to the codeword."""
    left = np.square(residuals[1:]).sum(axis=2).sum(axis=0)
    return np.square(inputs - restored).sum(axis=1) + (commitment_weight + 1) * left
