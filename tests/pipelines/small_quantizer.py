"""A small quantizer whose codes can be computed in NumPy as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

import semid_tf as sid

DIM, LEVELS, CODES = 8, 3, 16
FINGERPRINT = "0123456789abcdef"


def codebooks() -> np.ndarray:
    """Fixed codebooks: float32 [LEVELS, CODES, DIM], each level half as large as the one before."""
    scales = 0.5 ** np.arange(LEVELS)[:, None, None]
    return (np.random.default_rng(7).normal(size=(LEVELS, CODES, DIM)) * scales).astype(np.float32)


def numpy_codes(embeddings: np.ndarray) -> np.ndarray:
    """Residual coding with `codebooks`, in plain NumPy and float64."""
    residual, codes = embeddings.astype(np.float64), []
    for book in codebooks().astype(np.float64):
        codes.append(np.square(residual[:, None] - book).sum(axis=2).argmin(axis=1))
        residual = residual - book[codes[-1]]
    return np.stack(codes, axis=1).astype(np.int32)


class NearestCodewords(tf.Module):
    """The same in TensorFlow."""

    def __init__(self, books: np.ndarray | None = None) -> None:
        super().__init__()
        self.books = tf.Variable(codebooks() if books is None else books, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec((None, DIM), tf.float32, "embedding")])
    def encode(self, embedding: tf.Tensor) -> dict[str, tf.Tensor]:
        codes, residual = [], embedding
        for level in range(LEVELS):
            book = self.books[level]
            distances = tf.reduce_sum(tf.square(residual[:, None] - book), axis=2)
            codes.append(tf.argmin(distances, axis=1, output_type=tf.int32))
            residual = residual - tf.gather(book, codes[-1])
        return {"codes": tf.stack(codes, axis=1)}

    @tf.function(input_signature=[tf.TensorSpec((None, LEVELS), tf.int32, "codes")])
    def decode(self, codes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"embedding": tf.add_n([tf.gather(self.books[i], codes[:, i]) for i in range(LEVELS)])}


def publish_quantizer(module: NearestCodewords, target: Path, fingerprint: str = FINGERPRINT) -> Path:
    """Publishes a module with the two signatures as a quantizer."""
    with sid.staging(target.parent) as folder:
        signatures = {"encode": module.encode, "decode": module.decode}
        tf.saved_model.save(module, str(folder), signatures=signatures)
        config = {"num_levels": LEVELS, "codebook_size": CODES}
        sid.publish(folder, target, sid.Manifest("quantizer", fingerprint, "inputs", config=config))
    return target


def embeddings(count: int, seed: int = 0) -> np.ndarray:
    """Random embeddings: float32 [count, DIM]."""
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
