"""A call as steps: what is sent, and what the answer says. Blocking and async clients share them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

Arrays = dict[str, np.ndarray]
Features = Mapping[str, Any]


class Model(NamedTuple):
    """Which model answers: by version, by label, or the latest."""

    name: str
    version: int | None = None
    label: str = ""


class Wire(NamedTuple):
    """What is sent: `path` is a gRPC method, or an HTTP path."""

    path: str
    body: bytes
    verb: str = "POST"


class Class(NamedTuple):
    """A label and its score."""

    label: str
    score: float


class VersionStatus(NamedTuple):
    """One version: its state, such as `AVAILABLE`, and the error that ended it."""

    version: int
    state: str
    error: str


Steps = Generator[Wire, bytes, Any]  # is sent each answer, or thrown the ServingError in its place


class Calls(Protocol):
    """The calls in one protocol, each as steps."""

    def predict(self, model: Model, signature: str, inputs: Arrays, outputs: Sequence[str]) -> Steps: ...

    def classify(
        self, model: Model, signature: str, examples: Sequence[Features], context: Features
    ) -> Steps: ...

    def regress(
        self, model: Model, signature: str, examples: Sequence[Features], context: Features
    ) -> Steps: ...

    def status(self, model: Model) -> Steps: ...
