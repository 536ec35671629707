"""Markdown, a plot, and one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_COLUMNS = [
    ("sampled", "hr@10"),
    ("sampled", "ndcg@10"),
    ("sampled", "mrr"),
    ("full_masked", "recall@10"),
    ("full_masked", "ndcg@10"),
    ("full", "recall@10"),
    ("full", "ndcg@10"),
    ("cold", "recall@10"),
]


def mean_of(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of one run over its seeds: the mean of each number, and `spread`, their standard deviation."""
    if len(seeds) == 1:
        return seeds[0]
    merged = {key: _merged([seed[key] for seed in seeds]) for key in seeds[0] if key != "seed"}
    recalls = [seed["full_masked"]["recall@10"] for seed in seeds]
    return merged | {"seeds": len(seeds), "spread": {"full_masked recall@10": float(np.std(recalls, ddof=1))}}


def _merged(values: list[Any]) -> Any:
    if isinstance(values[0], Mapping):
        return {key: _merged([value[key] for value in values]) for key in values[0]}
    return np.mean(values, axis=0).tolist()


def write(folder: Path, runs: dict[str, dict[str, Any]], about: dict[str, Any]) -> str:
    """Writes `results.md`, `results.json` and `recall.png`; the JSON line."""
    line = json.dumps({"runs": runs, **about})
    (folder / "results.json").write_text(line + "\n", encoding="utf-8")
    (folder / "results.md").write_text(_markdown(runs, about), encoding="utf-8")
    _plot(folder / "recall.png", runs)
    return line


def _markdown(runs: dict[str, dict[str, Any]], about: dict[str, Any]) -> str:
    names = [f"{protocol.replace('_', ' ')} {figure}" for protocol, figure in _COLUMNS]
    header = ["run", *names, "token size", "parameters", "epochs", "s"]
    rows = [header, ["---"] * len(header)]
    for name, run in runs.items():
        figures = [run.get(protocol, {}).get(figure) for protocol, figure in _COLUMNS]
        cells = ["-" if value is None else f"{value:.4f}" for value in figures]
        counts = [f"{run[key]:,.0f}" for key in ("token_size", "parameters", "best_epoch", "train_s")]
        rows.append([name, *cells, *counts])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    told = "\n".join(f"- {name}: {value}" for name, value in about.items())
    return f"# Unified semantic and ID representation (Lin et al. 2025)\n\n{told}\n\n{table}\n"


def _plot(path: Path, runs: dict[str, dict[str, Any]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.5 * len(runs) + 1.5), layout="tight")
    axes = figure.subplots()
    axes.barh(list(runs)[::-1], [run["full_masked"]["recall@10"] for run in runs.values()][::-1])
    axes.set_xlabel("Recall@10 among all items but those seen")
    figure.savefig(path)
