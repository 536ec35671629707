"""What an item is, in one number: equal numbers mean that nothing has to be encoded again."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa


def content_hashes(item_ids: pa.ChunkedArray, matrix: np.ndarray) -> pa.Array:
    """64 bits of SHA-256 over each item's embedding (float32 [n, dim]) and item_id, as int64 [n].

    >>> content_hashes(pa.chunked_array([["a"]]), np.zeros((1, 2), np.float32)).to_pylist()
    [7586401852616081111]
    """
    ids = item_ids.cast(pa.binary()).to_pylist()
    matrix = np.ascontiguousarray(matrix, "<f4")
    digests = b"".join(_digest(row, item_id) for row, item_id in zip(matrix, ids, strict=True))
    return pa.array(np.frombuffer(digests, "<i8"))


def _digest(row: np.ndarray, item_id: bytes) -> bytes:
    content = hashlib.sha256(row.data)
    content.update(item_id)
    return content.digest()[:8]
