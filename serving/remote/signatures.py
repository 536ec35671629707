"""The types that a model's signatures take and give: asked for once, and kept.

A server may put another version in a model's place at any time. So when a call fails by kept types they are
asked for anew, and if they have changed the call is made once more.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import NamedTuple

import numpy as np

from serving.remote.arrays import cast
from serving.remote.errors import RequestError, ServerError, error_of
from serving.remote.steps import Arrays, Model, Steps, Wire

DEFAULT = "serving_default"
Types = Mapping[str, np.dtype | None]  # by name; None = a type that the client does not know


class Signature(NamedTuple):
    """Types of one signature."""

    inputs: Types
    outputs: Types

    def fit(self, inputs: Arrays) -> Arrays:
        """Inputs in the types that the signature takes; what it does not know stays as it is.

        Raises:
            RequestError: a value does not fit.
        """
        return {name: _fit(name, array, self.inputs.get(name)) for name, array in inputs.items()}


def _fit(name: str, array: np.ndarray, dtype: np.dtype | None) -> np.ndarray:
    try:
        return array if dtype is None else cast(array, dtype)
    except ValueError as error:
        raise error_of("INVALID_ARGUMENT", f"input {name} {error}.") from error


Signatures = Mapping[str, Signature]
_NONE = Signature({}, {})


class KeptSignatures:
    """What is known of each model.

    Args:
        ask: the steps that ask a server for all signatures of a model.
    """

    def __init__(self, ask: Callable[[Model], Generator[Wire, bytes, Signatures]]) -> None:
        self._ask = ask
        self._kept: dict[Model, Signatures] = {}

    def call(self, model: Model, name: str, call: Callable[[Signature], Steps]) -> Steps:
        """The steps of a call by a signature's types; of one that the server does not know it will say so."""
        name = name or DEFAULT
        kept = self._kept.get(model, {}).get(name)
        if kept is None:
            self._kept[model] = yield from self._ask(model)
        else:
            try:
                return (yield from call(kept))
            except (RequestError, ServerError):
                self._kept[model] = yield from self._ask(model)
                if self._kept[model].get(name) == kept:
                    raise
        return (yield from call(self._kept[model].get(name, _NONE)))
