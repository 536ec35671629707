"""Ctrl-C ends a block, also where its first error is lost on the way."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator

import pytest

from semid_tf.interrupt import kept_interrupt


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Ctrl-C is nobody else's at first (a Flink job of this process keeps it); both end as they were."""
    others = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = [signal.getsignal(which) for which in (signal.SIGINT, signal.SIGALRM)]
    yield
    assert [signal.getsignal(which) for which in (signal.SIGINT, signal.SIGALRM)] == before
    signal.signal(signal.SIGINT, others)


def lose_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_it_is_raised_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), kept_interrupt():
        signal.raise_signal(signal.SIGINT)


def test_one_that_was_swallowed_comes_again() -> None:
    with pytest.raises(KeyboardInterrupt), kept_interrupt():
        lose_an_interrupt()
        time.sleep(20)
        pytest.fail("it never came")


def test_another_error_in_its_place_counts_as_one() -> None:
    with pytest.raises(KeyboardInterrupt), kept_interrupt():
        lose_an_interrupt()
        raise TypeError


def test_errors_without_one_stay_what_they_are() -> None:
    with pytest.raises(TypeError), kept_interrupt():
        raise TypeError


def test_nothing_comes_after_the_block() -> None:
    with kept_interrupt():
        lose_an_interrupt()
    time.sleep(1.2)


def test_one_that_python_must_drop_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    class Slow:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), kept_interrupt():
        Slow()
        time.sleep(20)
    assert not capsys.readouterr().err


def test_one_that_c_prints_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """As TensorFlow's C++ does where it cannot hand an error on."""
    with pytest.raises(KeyboardInterrupt), kept_interrupt():
        sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
        sys.excepthook(ValueError, ValueError("another"), None)
        signal.raise_signal(signal.SIGINT)
    printed = capsys.readouterr().err
    assert "another" in printed
    assert "KeyboardInterrupt" not in printed


def test_what_comes_of_one_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """TensorFlow's C++ may also make another error of one, and print that."""
    with pytest.raises(KeyboardInterrupt), kept_interrupt():
        lose_an_interrupt()
        sys.excepthook(SystemError, SystemError("returned a result with an exception set"), None)
        time.sleep(20)
    assert not capsys.readouterr().err


def test_where_it_is_ignored_it_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with kept_interrupt():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
