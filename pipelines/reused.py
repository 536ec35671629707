"""Memory that is used again once nothing refers to it any more.

The system clears what it gives anew, which costs as much as the copy into it.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import deque
from contextlib import suppress

import numpy as np
import pyarrow as pa


class ReusedMemory:
    """Gives memory, and keeps a few pieces that came back.

    Args:
        most: pieces to keep.
    """

    def __init__(self, most: int) -> None:
        self._free: deque[pa.Buffer] = deque(maxlen=most)

    def floats(self, count: int) -> np.ndarray:
        """Float32 [count], not set, aligned for TensorFlow. It comes back once no view of it is left.

        >>> memory = ReusedMemory(1)
        >>> place = memory.floats(8).ctypes.data
        >>> memory.floats(8).ctypes.data == place
        True
        """
        piece = self._piece(4 * count)
        lent = (ctypes.c_char * piece.size).from_address(piece.address)
        weakref.finalize(lent, self._free.append, piece).atexit = False
        return np.frombuffer(lent, np.float32)

    def _piece(self, size: int) -> pa.Buffer:
        with suppress(IndexError):
            while (piece := self._free.pop()).size != size:
                pass  # what was read before had other batches
            return piece
        return pa.allocate_buffer(size)
