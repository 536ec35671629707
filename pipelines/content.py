"""What an item is, in one number: equal numbers mean that nothing has to be encoded again."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import tensorflow as tf

import semid_tf as sid
from pipelines.hashing import hash_texts

_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def content_hashes(item_ids: pa.Array, matrix: np.ndarray) -> pa.Array:
    """64 bits for each item, as int64 [n], the same on every machine.

    FarmHash64 of the embedding's bytes (float32 [n, dim]) times an odd number, plus the hash of the item_id.

    >>> content_hashes(pa.array(["a"]), np.zeros((1, 2), np.float32)).to_pylist()
    [-304408426887790240]
    """
    vectors = row_hashes(np.asarray(matrix, "<f4"))
    return pa.array((vectors * _FACTOR + hash_texts(item_ids)).view(np.int64))


def row_hashes(matrix: np.ndarray) -> np.ndarray:
    """FarmHash64 of the bytes of each row of a matrix of 32-bit numbers: uint64 [n]."""
    data = sid.as_tensor(np.ascontiguousarray(matrix).view(np.uint8))
    return tf.fingerprint(data).numpy().view("<u8")[:, 0]
