"""A sign of life while a job runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

_REFRESH_S = 0.5


@contextmanager
def elapsed_time(title: str) -> Iterator[None]:
    """Shows title and running time on a terminal; nothing elsewhere."""
    done = threading.Event()
    with tqdm(desc=title, bar_format="{desc}: {elapsed}", disable=None) as bar:
        thread = threading.Thread(target=_refresh, args=(bar, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _refresh(bar: tqdm, done: threading.Event) -> None:
    while not done.wait(_REFRESH_S):
        bar.refresh()
