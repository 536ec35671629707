"""Items made ahead: the same, in order, never more than one too early; errors come where they arise."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pipelines.ahead import ahead


def test_one_item_is_made_in_another_thread_while_the_one_before_is_used() -> None:
    made, second = list[tuple[int, int]](), threading.Event()

    def items() -> Iterator[int]:
        for number in range(4):
            made.append((number, threading.get_ident()))
            if number == 1:
                second.set()
            yield number

    coming = ahead(items())
    assert next(coming) == 0
    assert second.wait(10)
    assert [number for number, _ in made] == [0, 1]
    assert threading.get_ident() not in {thread for _, thread in made}
    assert list(coming) == [1, 2, 3]


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("damaged")

    coming = ahead(items())
    assert next(coming) == 1
    with pytest.raises(OSError, match="damaged"):
        next(coming)


def test_whoever_stops_early_leaves_no_thread() -> None:
    coming = ahead(iter(range(10)))
    next(coming)
    coming.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_nothing_gives_nothing() -> None:
    assert list(ahead([])) == []
