"""Arrow and NumPy memory as tensors, without copying."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import tensorflow as tf

_ALIGNED = 64  # bytes; TensorFlow's kernels read no other memory


def as_tensor(matrix: np.ndarray) -> tf.Tensor:
    """A matrix as a tensor of the same memory; a copy where the memory does not suit TensorFlow.

    Memory of Arrow and of mapped .npy files suits it, most that NumPy allocates does not. `tf.constant`
    copies twice. Nobody may write to the matrix while the tensor lives.

    >>> as_tensor(np.ones((2, 3), np.float32)).shape
    TensorShape([2, 3])
    """
    flat = np.ascontiguousarray(matrix).reshape(-1)
    if flat.ctypes.data % _ALIGNED or not len(flat):
        return tf.raw_ops.Identity(input=matrix)
    # Through Arrow, as NumPy gives no memory away that it may not write to itself.
    tensor = tf.experimental.dlpack.from_dlpack(pa.array(flat).__dlpack__())
    return tf.reshape(tensor, matrix.shape)
