"""`python -m experiments.singh2024`, see the package."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import semid_tf as sid
from experiments.figures import Figures
from experiments.run_log import RunLog
from experiments.singh2024.plots import plot_all
from experiments.singh2024.report import markdown
from experiments.singh2024.runs import Runner
from experiments.singh2024.settings import Run, Settings, all_runs
from experiments.singh2024.summary import BASELINE, summarize
from experiments.singh2024.world import identity, prepare

USER_MISTAKE = 2


def main(arguments: list[str]) -> int:
    """Runs the experiment; the last line is JSON."""
    parsed = _parser().parse_args(arguments)
    methods = tuple(method for method in Settings.methods if method in {BASELINE, *parsed.methods})
    settings = Settings(parsed.items, parsed.interactions, methods, parsed.before_test)
    try:
        result = run(settings.quick() if parsed.quick else settings, Path(parsed.output), arguments)
    except (sid.SemidError, OSError) as error:
        print(f"singh2024: error: {error}", file=sys.stderr)
        return USER_MISTAKE
    print(json.dumps(result, allow_nan=False))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m experiments.singh2024", description=__doc__)
    parser.add_argument("--items", required=True, help="Parquet: item_id, embedding")
    parser.add_argument("--interactions", required=True, help="Parquet: user_id, item_id, timestamp")
    parser.add_argument("--output", required=True, help="folder for the report, the plots and the figures")
    parser.add_argument("--quick", action="store_true", help="one seed and two table sizes")
    parser.add_argument("--methods", nargs="+", choices=Settings.methods, default=list(Settings.methods))
    parser.add_argument(
        "--before-test", action="store_true", help="the last fifth of the training period is the test"
    )
    return parser


def run(settings: Settings, folder: Path, arguments: list[str]) -> dict[str, Any]:
    """Carries out all runs and writes `report.md`, plots and `result.json` into the folder.

    An experiment that was stopped goes on with the runs that are missing.
    """
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    world = prepare(settings)
    prepared = time.perf_counter() - started
    log = RunLog(folder / "runs.jsonl", identity(world, settings), Run)
    done = _carry_out(all_runs(settings), Runner(world, settings), log)
    result = summarize(done, settings) | {
        "world": world.figures,
        "seconds": round(prepared + sum(figures["run_s"] for figures in done.values()), 1),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
    }
    (folder / "report.md").write_text(markdown(result, _command(arguments)), encoding="utf-8")
    plot_all(result, folder)
    (folder / "result.json").write_text(
        json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )
    return result


def _carry_out(runs: list[Run], runner: Runner, log: RunLog[Run]) -> dict[Run, Figures]:
    """One line of news and of the log for each run; those that the log has are not run again."""
    for number, each in enumerate(runs, start=1):
        if each not in log.done:
            started = time.perf_counter()
            figures = runner.figures(each)
            log.add(each, figures | {"run_s": round(time.perf_counter() - started, 1)})
        auc, cold = log.done[each]["auc"], log.done[each]["auc_cold"]
        print(f"{number}/{len(runs)} {each}: AUC {auc}, cold {cold}", file=sys.stderr, flush=True)
    return {each: log.done[each] for each in runs}


def _command(arguments: list[str]) -> str:
    return shlex.join(["python", "-m", "experiments.singh2024", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
