"""What went wrong in a worker, which reaches the job as the text of a traceback."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import semid_tf as sid

E = TypeVar("E", bound=Exception)

# Local workers log an error in every step that it passes.
_LOGGERS = ("apache_beam.runners.common", "apache_beam.runners.worker.sdk_worker")
# Beam wraps errors that it cannot make anew, and says in which step they came up.
_ERROR = re.compile(r"^(?:RuntimeError: )?(?:\w+\.)*(\w+): (.+?)(?: \[while running '.*)?$", re.MULTILINE)


def fault_in(text: str) -> sid.SemidError | None:
    """The last error that a user can mend: of this library, or a file that cannot be read or written.

    >>> fault_in("Traceback ...\\nOSError: a.parquet: is damaged. [while running 'Read/Items']")
    DataError('a.parquet: is damaged.')
    """
    kinds: dict[str, type[sid.SemidError]] = {it.__name__: sid.DataError for it in _all(OSError)}
    kinds |= {it.__name__: it for it in _all(sid.SemidError)}
    found = [(name, message) for name, message in _ERROR.findall(text) if name in kinds]
    return kinds[found[-1][0]](found[-1][1]) if found else None


def _all(kind: type[E]) -> Iterator[type[E]]:
    """A kind of errors, and all that are derived from it."""
    yield kind
    for derived in kind.__subclasses__():
        yield from _all(derived)


@contextmanager
def told_once() -> Iterator[None]:
    """Keeps out of the log what the job has whole when it fails."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(_is_no_error)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_no_error)


def _is_no_error(record: logging.LogRecord) -> bool:
    return record.levelno < logging.ERROR
