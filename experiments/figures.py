"""Figures of runs as JSON knows them: numbers, lists and mappings of numbers, None where there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Figures = dict[str, Any]


def nan_as_none(value: Any) -> Any:
    """The same figures; JSON knows no nan: one that does not exist is null.

    >>> nan_as_none({"a": [float("nan"), 1.0], "b": 2})
    {'a': [None, 1.0], 'b': 2}
    """
    if isinstance(value, Mapping):
        return {name: nan_as_none(part) for name, part in value.items()}
    if isinstance(value, list):
        return [nan_as_none(part) for part in value]
    return None if math.isnan(value) else value


def mean_of(values: Sequence[Any]) -> Any:
    """Mean of figures, name by name for mappings and place by place for lists; None where one is missing.

    >>> mean_of([{"a": [1, None], "b": 7}, {"a": [3, 4], "b": 7}])
    {'a': [2.0, None], 'b': 7}
    """
    if isinstance(values[0], Mapping):
        return {name: mean_of([value[name] for value in values]) for name in values[0]}
    if isinstance(values[0], list):
        return [mean_of(place) for place in zip(*values, strict=True)]
    return None if None in values else _plain(np.mean(values), values[0])


def _plain(mean: Any, like: Any) -> int | float:
    """Counts that are the same with every seed stay whole numbers."""
    return like if mean == like else float(mean)
