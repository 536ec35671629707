"""What a server answers instead of a result."""

from __future__ import annotations

from http import HTTPStatus

import grpc
import tensorflow as tf

Code = grpc.StatusCode

_CODES = {code.value[0]: code for code in Code}
# As TensorFlow Serving's HTTP server maps them; what is missing is 500.
_HTTP = {
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    Code.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    Code.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    Code.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    Code.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
_LONGEST = 1000


class RefusedError(Exception):
    """A status code and one line.

    >>> str(RefusedError(Code.NOT_FOUND, "no such\\nmodel"))
    'no such model'
    >>> RefusedError(Code.NOT_FOUND, "no such model").http_status
    404
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(" ".join(message.split())[:_LONGEST])
        self.code = code

    @property
    def http_status(self) -> int:
        """The status of an HTTP answer."""
        return int(_HTTP.get(self.code, HTTPStatus.INTERNAL_SERVER_ERROR))


def invalid(message: str) -> RefusedError:
    """The request cannot be answered by any model."""
    return RefusedError(Code.INVALID_ARGUMENT, message)


def refusal_of(error: Exception) -> RefusedError:
    """What an error of TensorFlow says; any other is internal."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, tf.errors.OpError):
        return RefusedError(_CODES.get(error.error_code, Code.INTERNAL), error.message)
    return RefusedError(Code.INTERNAL, f"{type(error).__name__}: {error}")
