"""From the figures of all runs to those of the experiment: means over seeds, and their spread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from experiments.figures import Figures, mean_of
from experiments.lin2025.runs import Run
from experiments.lin2025.settings import Setting
from semid_tf.artifacts import fingerprint

_SPREAD = ("sampled", "full", "full_masked", "cold", "popularity")


def summarize(done: Mapping[Run, Figures], settings: Mapping[str, Setting]) -> dict[str, Figures]:
    """Figures by name, over all seeds there are; a refit stands behind what it repeats as `NAME_refit`."""
    runs = {}
    for name, setting in settings.items():
        known = fingerprint(setting)
        by_part = {
            part: [figures for run, figures in done.items() if run == Run(name, run.seed, part, known)]
            for part in ("plain", "cold", "refit")
        }
        if by_part["plain"]:
            runs[name] = over_seeds(by_part["plain"], by_part["cold"])
        if by_part["refit"]:
            runs[f"{name}_refit"] = over_seeds(by_part["refit"])
    return runs


def over_seeds(found: Sequence[Figures], cold: Sequence[Figures] = ()) -> Figures:
    """Means over seeds, the number of `seeds`, and, where there are several, `spread`: standard deviations.

    Args:
        found: figures of each seed.
        cold: of held-out items, for each seed for which there are any.
    """
    values = {name: [figures[name] for figures in found] for name in found[0]}
    if cold:
        values["cold"] = list(cold)
    means = {name: mean_of(figures) for name, figures in values.items()}
    spread = {
        path: deviation
        for name in _SPREAD
        if len(values.get(name, ())) > 1
        for path, deviation in _deviations(name, values[name])
    }
    return means | {"seeds": len(found)} | ({"spread": spread} if spread else {})


def _deviations(path: str, values: Sequence[Any]) -> Iterator[tuple[str, float]]:
    """By path, such as `full_masked recall@10`; one that does not exist is left out."""
    if isinstance(values[0], Mapping):
        for name in values[0]:
            yield from _deviations(f"{path} {name}", [value[name] for value in values])
    elif None not in values:
        yield path, float(np.std(values, ddof=1))
