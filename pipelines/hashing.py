"""Hashes of texts that are the same on every machine."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)


def hash_texts(texts: pa.Array) -> np.ndarray:
    """64-bit FNV-1a hashes of the UTF-8 bytes of texts without nulls: the same on every machine.

    >>> [hex(value) for value in hash_texts(pa.array(["a", "foobar"])).tolist()]
    ['0xaf63dc4c8601ec8c', '0x85944171f73967e8']
    """
    texts = texts.cast(pa.large_string())
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64)[texts.offset :][: len(texts) + 1]
    letters = np.frombuffer(data, np.uint8)
    starts, lengths = bounds[:-1].copy(), np.diff(bounds)
    hashes = np.full(len(texts), _FNV_OFFSET)
    shortest = lengths.min(initial=lengths.max(initial=0))
    for _ in range(shortest):  # all rows, in place
        np.bitwise_xor(hashes, letters[starts], out=hashes)
        np.multiply(hashes, _FNV_PRIME, out=hashes)
        starts += 1
    for position in range(shortest, lengths.max(initial=0)):
        rows = np.flatnonzero(lengths > position)
        hashes[rows] = (hashes[rows] ^ letters[starts[rows] + position - shortest]) * _FNV_PRIME
    return hashes
