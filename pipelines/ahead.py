"""What comes next is made while what came is worked on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items; another thread makes one while the one before is used. No more than two are held.

    It pays where making them is work outside of Python, such as reading Parquet.

    >>> list(ahead(range(3)))
    [0, 1, 2]
    """
    left = iter(items)
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = thread.submit(list, islice(left, 1))
        while come := coming.result():
            coming = thread.submit(list, islice(left, 1))
            yield from come
