"""The command; see the package."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import click

from experiments.lin2025.protocol import cold_figures, figures, refitted, trained
from experiments.lin2025.report import mean_of, write
from experiments.lin2025.settings import ABLATIONS, COLD, HEADLINE, REFIT, Setting
from experiments.lin2025.world import World, read_world, without_cold

_ALL = HEADLINE | ABLATIONS


@click.command()
@click.option("--items", required=True, help="Parquet of item_id and embedding.")
@click.option("--interactions", required=True, help="Parquet of user_id, item_id, timestamp.")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--quick", is_flag=True, help="The headline runs only, one seed.")
@click.option("--seeds", default=3, show_default=True, help="Seeds of each headline run.")
@click.option("--run", "names", multiple=True, type=click.Choice(list(_ALL)), help="Only these runs.")
def main(
    items: str, interactions: str, output: Path, quick: bool, seeds: int, names: tuple[str, ...]
) -> None:
    """Unified semantic and ID representation (Lin et al. 2025), its ablations, and beyond."""
    world = read_world(items, interactions)
    output.mkdir(parents=True, exist_ok=True)
    chosen = names or (HEADLINE if quick else _ALL)
    runs: dict[str, dict[str, Any]] = {}
    about = {"seeds": 1 if quick else seeds, "items": world.num_items, "machine": platform.machine()}
    for name in chosen:
        count = seeds if name in HEADLINE and not quick else 1
        seeds_of = [_run(name, _ALL[name], world, seed) for seed in range(count)]
        for run in seeds_of[0]:
            runs[run] = mean_of([of_seed[run] for of_seed in seeds_of])
        line = write(output, runs, about)  # after each run: a long experiment that is stopped has results
    click.echo(line)


def _run(name: str, setting: Setting, world: World, seed: int) -> dict[str, dict[str, Any]]:
    """Figures of a run, and of its refit, by name."""
    fit = trained(name, setting, world, seed)
    runs = {name: fit.cost | figures(fit.model, world, seed)}
    if name in COLD:
        held_out = without_cold(world, seed)
        cold = trained(f"{name}, cold items", setting, held_out, seed)
        runs[name]["cold"] = cold_figures(cold.model, held_out)
    if name in REFIT:
        refit = refitted(f"{name}, refit", setting, world, seed, fit.epochs)
        runs[f"{name}_refit"] = refit.cost | figures(refit.model, world, seed)
    return runs


if __name__ == "__main__":
    main()
