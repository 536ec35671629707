"""The command; see the package."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import click

import semid_tf as sid
from experiments.lin2025.checks import possible
from experiments.lin2025.plots import plot_all
from experiments.lin2025.report import markdown
from experiments.lin2025.runs import Run, all_runs, carry_out
from experiments.lin2025.settings import ALL, HEADLINE, Setting
from experiments.lin2025.summary import summarize
from experiments.lin2025.world import World, read_world
from experiments.run_log import RunLog

USER_MISTAKE = 2


@click.command()
@click.option("--items", required=True, help="Parquet of item_id and embedding.")
@click.option("--interactions", required=True, help="Parquet of user_id, item_id, timestamp.")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--quick", is_flag=True, help="The headline runs only, one seed.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Of each headline run.")
@click.option("--run", "names", multiple=True, type=click.Choice(list(ALL)), help="Only these runs.")
def main(
    items: str, interactions: str, output: Path, quick: bool, seeds: int, names: tuple[str, ...]
) -> None:
    """Unified semantic and ID representation (Lin et al. 2025), its ablations, and beyond."""
    try:
        result = run(read_world(items, interactions), output, ALL, names, 1 if quick else seeds, quick)
    except (sid.SemidError, OSError) as error:
        print(f"lin2025: error: {error}", file=sys.stderr)
        sys.exit(USER_MISTAKE)
    print(json.dumps(result, allow_nan=False))


def run(
    world: World,
    folder: Path,
    settings: Mapping[str, Setting],
    names: Collection[str] = (),
    seeds: int = 1,
    quick: bool = False,
) -> dict[str, Any]:
    """Carries out runs and writes, after each of them, what the folder has by then; plots at the end.

    An experiment that was stopped goes on with the runs that are missing.

    Args:
        world: all data.
        folder: for `results.md`, `results.json`, plots, and `runs.jsonl`, the log.
        settings: of all runs there are.
        names: of those wanted; none = all, or with `quick` those of the headline.
        seeds: of each headline run.
        quick: leaves out what takes time.
    """
    headline = [name for name in settings if name in HEADLINE]
    chosen = names or (headline if quick else settings)
    runs = possible(all_runs(settings, chosen, seeds, quick), settings, world, names or headline)
    folder.mkdir(parents=True, exist_ok=True)
    log = RunLog(folder / "runs.jsonl", world.identity, Run)
    for number, each in enumerate(runs, start=1):
        print(f"{number}/{len(runs)} {each.name}, seed {each.seed}, {each.part}", file=sys.stderr, flush=True)
        if each not in log.done:
            log.add(each, carry_out(each, settings[each.name], world, log.done))
            _write(folder, _result(log, settings, world))
    result = _result(log, settings, world)
    _write(folder, result)
    plot_all(result["runs"], folder)
    return result


def _result(log: RunLog[Run], settings: Mapping[str, Setting], world: World) -> dict[str, Any]:
    runs = summarize(log.done, settings)
    return {
        "runs": runs,
        "seeds": max(figures["seeds"] for figures in runs.values()),  # of one run, at most
        "items": world.num_items,
        "machine": platform.machine(),
        "world": world.about,
    }


def _write(folder: Path, result: dict[str, Any]) -> None:
    command = shlex.join(["python", "-m", "experiments.lin2025", *sys.argv[1:]])
    (folder / "results.json").write_text(json.dumps(result, allow_nan=False) + "\n", encoding="utf-8")
    (folder / "results.md").write_text(markdown(result, command), encoding="utf-8")


if __name__ == "__main__":
    main()
