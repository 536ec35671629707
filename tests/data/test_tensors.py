"""Arrow and NumPy memory as tensors."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import semid_tf as sid


def laid(byte: int) -> np.ndarray:
    """Float32 [6, 4] that begins so many bytes behind a multiple of 64."""
    memory = np.frombuffer(pa.allocate_buffer(256), np.float32)[byte // 4 :][:24].reshape(6, 4)
    memory[:] = np.arange(24).reshape(6, 4)
    assert memory.ctypes.data % 64 == byte
    return memory


@pytest.mark.parametrize(("byte", "shared"), [(0, True), (16, False), (4, False)])
def test_only_aligned_memory_is_shared(byte: int, shared: bool) -> None:
    matrix = laid(byte)
    tensor = sid.as_tensor(matrix)
    matrix[5, 3] = -1
    assert tensor[5, 3].numpy() == (-1 if shared else 23)
    np.testing.assert_array_equal(tensor[:5], matrix[:5])


@pytest.mark.parametrize("part", [np.s_[:, ::2], np.s_[::-1], np.s_[:0], np.s_[2:3]])
@pytest.mark.parametrize("byte", [0, 4])
@pytest.mark.parametrize("writeable", [True, False])
def test_parts_of_a_matrix_are_themselves(part: tuple[slice, ...], byte: int, writeable: bool) -> None:
    matrix = laid(byte)
    matrix.flags.writeable = writeable
    tensor = sid.as_tensor(matrix[part])
    assert tensor.dtype == "float32"
    np.testing.assert_array_equal(tensor, matrix[part])
