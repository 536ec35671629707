"""What a catalogue must have for the runs, looked at before any of them is trained."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping

import numpy as np

import semid_tf as sid
from experiments.lin2025.protocol import require_negatives
from experiments.lin2025.runs import Run
from experiments.lin2025.settings import Setting
from experiments.lin2025.world import World, without_cold


def possible(
    runs: list[Run], settings: Mapping[str, Setting], world: World, wanted: Collection[str]
) -> list[Run]:
    """The runs that the catalogue has items enough for; a line on stderr for each name left out.

    Args:
        runs: in their order.
        settings: by name.
        world: all data.
        wanted: names that are not left out.

    Raises:
        DataError: the catalogue is too small for one of these, or for the protocol itself.
    """
    require_negatives(world)
    short = {run.name: why for run in runs if (why := _too_few(run, settings[run.name], world))}
    for name, why in short.items():
        if name in wanted:
            raise sid.DataError(f"{name} {why}; give a larger catalogue.")
        print(f"lin2025: {name} is left out: it {why}.", file=sys.stderr)
    return [run for run in runs if run.name not in short]


def _too_few(run: Run, setting: Setting, world: World) -> str:
    """Why a run cannot be carried out; empty if it can."""
    trained_on = without_cold(world, run.seed) if run.part == "cold" else world
    items = int(np.count_nonzero(trained_on.counts))
    if items >= setting.items_needed:
        return ""
    return f"needs {setting.items_needed} items with events in training, one a code, and there are {items}"
