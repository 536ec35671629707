"""Memory comes back once nobody looks at it any more, and not before."""

from __future__ import annotations

import gc

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import semid_tf as sid
from pipelines.reused import ReusedMemory

COUNT = 4096


def looked_at_by(kind: str, floats: np.ndarray) -> object:
    """Something that uses the memory without a copy."""
    if kind == "slice":
        return floats[100:].reshape(4, -1)
    if kind == "arrow":
        return pa.FixedSizeListArray.from_arrays(pa.array(floats), 16)[3:]
    return sid.as_tensor(floats.reshape(-1, 16))


@pytest.mark.parametrize("kind", ["slice", "arrow", "tensor"])
def test_memory_in_use_is_given_to_nobody_else(kind: str) -> None:
    memory = ReusedMemory(2)
    floats = memory.floats(COUNT)
    floats[:] = np.arange(COUNT)
    place, view = floats.ctypes.data, looked_at_by(kind, floats)
    del floats
    other = memory.floats(COUNT)
    other[:] = -1
    assert other.ctypes.data != place
    read = view.flatten() if isinstance(view, pa.Array) else tf.reshape(view, [-1])
    assert np.asarray(read)[-1] == COUNT - 1
    del view, read
    gc.collect()
    assert memory.floats(COUNT).ctypes.data == place


def test_only_a_few_pieces_are_kept_and_only_of_the_size_asked_for() -> None:
    memory = ReusedMemory(2)
    pieces = [memory.floats(COUNT) for _ in range(5)]
    del pieces
    assert len(memory._free) == 2
    smaller = memory.floats(COUNT // 2)
    assert len(smaller) == COUNT // 2
    assert not memory._free


def test_memory_is_aligned_for_tensorflow() -> None:
    assert all(ReusedMemory(1).floats(count).ctypes.data % 64 == 0 for count in (1, 7, 4096, 10**6))
