"""Ctrl-C that is not lost: TensorFlow may swallow a `KeyboardInterrupt` or make another error of it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

_AGAIN_S = 1.0


@contextmanager
def kept_interrupt() -> Iterator[None]:
    """After Ctrl-C the block ends with a `KeyboardInterrupt`, whatever becomes of the first one.

    It is raised again each second until the block ends, and any error that the block then ends with counts as
    one. Where Python must drop one, as in a destructor, or C++ prints one, no traceback shows, nor of what
    comes of it. Where Ctrl-C is ignored or somebody else's, and in other threads than the main one, nothing
    changes.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    asked = False

    def interrupt(signum: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        raise KeyboardInterrupt

    def drop(dropped: sys.UnraisableHookArgs) -> None:
        if not (asked or dropped.exc_type is KeyboardInterrupt):
            hook(dropped)

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not (asked or kind is KeyboardInterrupt):
            printed(kind, error, trace)

    hook, sys.unraisablehook = sys.unraisablehook, drop
    printed, sys.excepthook = sys.excepthook, show
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except Exception as error:
        if asked:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook, sys.excepthook = hook, printed
