"""The runs of the experiment, and how each is carried out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from experiments.figures import Figures, nan_as_none
from experiments.lin2025.fits import refitted, trained
from experiments.lin2025.protocol import cold_figures, figures
from experiments.lin2025.settings import COLD, HEADLINE, QUICK_COLD, REFIT, Setting
from experiments.lin2025.world import World, without_cold
from semid_tf.artifacts import fingerprint

_COLD_MEMBERS = 2


@dataclass(frozen=True)
class Run:
    """One training, and what is judged by it.

    Attributes:
        name: of the setting.
        seed: of model, order and draws.
        part: `plain`; `cold`, trained without a tenth of the items; `refit`, trained on the validation events
            too.
        setting: fingerprint of the setting, so that figures of another one are never taken for this run's.
    """

    name: str
    seed: int
    part: str
    setting: str


def all_runs(settings: Mapping[str, Setting], names: Iterable[str], seeds: int, quick: bool) -> list[Run]:
    """Name by name and seed by seed; ablations have one seed."""
    return [
        Run(name, seed, part, fingerprint(settings[name]))
        for name in names
        for seed in range(seeds if name in HEADLINE else 1)
        for part in _parts(name, quick)
    ]


def _parts(name: str, quick: bool) -> list[str]:
    cold = name in (QUICK_COLD if quick else COLD)
    return ["plain", *(["cold"] if cold else []), *(["refit"] if name in REFIT else [])]


def carry_out(run: Run, setting: Setting, world: World, done: Mapping[Run, Figures]) -> Figures:
    """The figures of a run; those done before tell a refit how many epochs are best."""
    if run.part == "cold":
        return cold_run(run.name, setting, world, run.seed)
    if run.part == "refit":
        return refit_run(run.name, setting, world, run.seed, done[replace(run, part="plain")])
    return plain_run(run.name, setting, world, run.seed)


def plain_run(name: str, setting: Setting, world: World, seed: int) -> Figures:
    """Trained on all but the last two events of each user and judged by the last."""
    fit = trained(name, setting, world, seed)
    return nan_as_none(fit.cost | figures(fit.model, world, seed))


def cold_run(name: str, setting: Setting, world: World, seed: int) -> Figures:
    """Trained without a tenth of the items and judged by these alone; at most two members, to save time."""
    held_out, few = without_cold(world, seed), min(setting.members, _COLD_MEMBERS)
    fit = trained(f"{name}, cold items", replace(setting, members=few), held_out, seed)
    return nan_as_none(cold_figures(fit.model, held_out))


def refit_run(name: str, setting: Setting, world: World, seed: int, plain: Figures) -> Figures:
    """Trained on the validation events too; its costs hold those of the run that found the epochs."""
    fit = refitted(f"{name}, refit", setting, world, seed, plain["best_epochs"])
    both = {cost: round(plain[cost] + fit.cost[cost], 1) for cost in ("train_s", "train_cpu_s")}
    return nan_as_none(fit.cost | both | figures(fit.model, world, seed))
