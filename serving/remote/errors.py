"""What a call to a server can end in.

ServingError                the server did not answer with a result
├── RequestError            the request is wrong: asking again is useless
│   ├── NotFoundError       no such model or version
│   └── TooLargeError       larger than the server allows
├── DeadlineError           no answer within the time allowed
├── UnavailableError        not reached, overloaded or shutting down: asked again by the client itself
└── ServerError             the server failed
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.protobuf.message import DecodeError


class ServingError(Exception):
    """The server did not answer with a result.

    Attributes:
        code: name of the gRPC status, such as `NOT_FOUND`, whatever the protocol.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class RequestError(ServingError):
    """The request is wrong."""


class NotFoundError(RequestError):
    """There is no such model or version."""


class TooLargeError(RequestError):
    """The request is larger than the server allows."""


class DeadlineError(ServingError):
    """There was no answer within the time allowed."""


class UnavailableError(ServingError):
    """The server was not reached, is overloaded or shuts down."""


class ServerError(ServingError):
    """The server failed."""


_CLASSES: dict[str, type[ServingError]] = {
    "INVALID_ARGUMENT": RequestError,
    "FAILED_PRECONDITION": RequestError,
    "OUT_OF_RANGE": RequestError,
    "UNIMPLEMENTED": RequestError,
    "NOT_FOUND": NotFoundError,
    "RESOURCE_EXHAUSTED": TooLargeError,
    "DEADLINE_EXCEEDED": DeadlineError,
    "UNAVAILABLE": UnavailableError,
}
_HTTP = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error_of(code: str, message: str) -> ServingError:
    """The error of a gRPC status.

    >>> error_of("NOT_FOUND", "no such model")
    NotFoundError('NOT_FOUND: no such model')
    """
    return _CLASSES.get(code, ServerError)(code, message)


def error_of_http(status: int, message: str) -> ServingError:
    """The error of an HTTP status.

    >>> error_of_http(503, "overloaded").code
    'UNAVAILABLE'
    """
    return error_of(_HTTP.get(status, "INTERNAL"), message)


@contextmanager
def understood() -> Iterator[None]:
    """Reads an answer; whatever stands in it that should not is the server's failure.

    >>> with understood():
    ...     {}["outputs"]
    Traceback (most recent call last):
    serving.remote.errors.ServerError: INTERNAL: the answer cannot be read: KeyError: 'outputs'
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, DecodeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise error_of("INTERNAL", f"the answer cannot be read: {reason}") from error
