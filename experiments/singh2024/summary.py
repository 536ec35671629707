"""From the figures of all runs to the figures of the experiment: means over seeds, gains."""

from __future__ import annotations

from typing import Any

from experiments.figures import Figures, mean_of
from experiments.singh2024.settings import UNSIZED_METHODS, Run, Settings

BASELINE = "random_hash"
WITHOUT_HISTORY = "without_history"
Done = dict[Run, Figures]


def summarize(done: Done, settings: Settings) -> dict[str, Any]:
    """`methods[name]["rows"][rows]`: figures with history, those without under `without_history`."""
    methods: dict[str, Any] = {}
    for method, rows in dict.fromkeys((run.method, run.table_rows) for run in done if run.codes == "all"):
        cell = _cell(done, settings, method, rows, history=True)
        cell[WITHOUT_HISTORY] = _cell(done, settings, method, rows, history=False)
        key = cell["rows"] if method in UNSIZED_METHODS else rows
        methods.setdefault(method, {"rows": {}})["rows"][str(key)] = cell
    return {"methods": methods, "codes_of_another_time": _by_codes(done, settings)}


def _cell(done: Done, settings: Settings, method: str, rows: int, history: bool) -> Figures:
    found = [done[Run(method, rows, seed, history)] for seed in settings.seeds]
    base = [done[Run(BASELINE, settings.table_rows[0], seed, history)] for seed in settings.seeds]
    cell = mean_of(found)
    for name in ("auc", "auc_cold"):
        cell[f"{name}_by_seed"] = [figures[name] for figures in found]
        cell[f"{name}_gain_percent"] = _gain(cell[name], mean_of([figures[name] for figures in base]))
    return cell


def _gain(auc: float | None, base: float | None) -> float | None:
    return None if auc is None or base is None else 100 * (auc / base - 1)


def _by_codes(done: Done, settings: Settings) -> dict[str, Figures]:
    """AUC of one method over the codes of quantizers that learned at other times."""
    unigram = {
        run.codes: figures
        for run, figures in done.items()
        if run.method == "unigram" and run.history and run.seed == settings.seeds[0]
    }
    return {
        codes: {name: figures[name] for name in ("auc", "auc_cold")} for codes, figures in unigram.items()
    }
