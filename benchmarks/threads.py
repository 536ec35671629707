"""As many threads for each contender, and a word on the BLAS libraries that they use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager

import tensorflow as tf
from threadpoolctl import threadpool_info, threadpool_limits

_KERNEL_CHOICE = "OPENBLAS_CORETYPE"


def limit_tensorflow(threads: int) -> bool:
    """Gives TensorFlow so many threads; False if it runs already, so that they stay as they are."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        return False
    return True


def limited_libraries(threads: int) -> AbstractContextManager:
    """Within it, the BLAS and OpenMP libraries that are loaded by now have so many threads."""
    return threadpool_limits(limits=threads)


def notes_on_blas() -> Iterator[str]:
    """One line for each BLAS library that is loaded by now, and one if the environment picks its kernel."""
    for library in threadpool_info():
        if library["user_api"] == "blas":
            parts = [library["internal_api"], library["version"], library.get("architecture")]
            name = " ".join(part for part in parts if part)
            yield f"BLAS of {os.path.basename(library['filepath'])}: {name}, {library['num_threads']} threads"
    if choice := os.environ.get(_KERNEL_CHOICE):
        yield f"{_KERNEL_CHOICE}={choice} picks the kernel of every OpenBLAS, good for some, bad for others"
