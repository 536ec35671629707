"""The experiment in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

from experiments.figures import Figures
from experiments.lin2025.protocol import FULL, SAMPLED

Runs = Mapping[str, Figures]

_OVERVIEW = {
    "HR@10 sampled": ("sampled", "hr@10"),
    "NDCG@10 sampled": ("sampled", "ndcg@10"),
    "Recall@10 masked": ("full_masked", "recall@10"),
    "NDCG@10 masked": ("full_masked", "ndcg@10"),
    "Recall@10 cold": ("cold", "recall@10"),
}
_COSTS = {
    "seeds": "seeds",
    "numbers in tokens": "token_size",
    "in the whole model": "parameters",
    "in training": "trained_parameters",
    "best epoch": "best_epoch",
    "s": "train_s",
    "CPU-s": "train_cpu_s",
}


def markdown(result: Mapping[str, Any], command: str) -> str:
    """All figures, for people."""
    runs = result["runs"]
    sections = {
        "All runs": [*_figures(runs, _OVERVIEW), "", "![recall](recall.png)"],
        "Among 99 items that the user never touched": _protocol(runs, "sampled", "hr", SAMPLED),
        "Among all items but those of the history": _protocol(runs, "full_masked", "recall", FULL),
        "Among all items": _protocol(runs, "full", "recall", FULL),
        "Items held out of training, among all items but those of the history": _cold(runs),
        "By how often training met the wanted item": _popularity(runs),
        "Codes": _codes(with_codes(runs)),
        "Costs": _costs(runs),
    }
    written = [f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items() if lines]
    return "\n\n".join([_head(result, command), *written]) + "\n"


def with_codes(runs: Runs) -> Runs:
    """The runs whose items have Semantic IDs."""
    return {name: run for name, run in runs.items() if "codes" in run}


def _head(result: Mapping[str, Any], command: str) -> str:
    counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in result["world"].items())
    return (
        f"# Unified semantic and ID representation (Lin et al. 2025)\n\n    {command}\n\n"
        f"Data: {counts}. Machine: {result['machine']}.\n\n"
        "The last event of each user is foretold. Means over seeds; ± is their standard deviation."
    )


def _protocol(runs: Runs, protocol: str, hit: str, cutoffs: Sequence[int]) -> list[str]:
    hits, gains = [f"{hit}@{k}" for k in cutoffs], [f"ndcg@{k}" for k in cutoffs if k > 1]  # else the same
    return _figures(runs, {name: (protocol, name) for name in [*hits, *gains, "mrr"]})


def _cold(runs: Runs) -> list[str]:
    known = {name: run for name, run in runs.items() if "cold" in run}
    if not known:
        return []
    table = _protocol(known, "cold", "recall", FULL)
    targets = [f"{name} {run['cold']['targets']:,.0f}" for name, run in known.items()]
    return [*table, "", f"Targets: {', '.join(targets)}."]


def _popularity(runs: Runs) -> list[str]:
    parts = next(iter(runs.values()))["popularity"]
    titles = {
        part: f"{part} events ({n['items']:,} items, {n['targets']:,} targets)" for part, n in parts.items()
    }
    lines = []
    for figure in ("recall@10", "ndcg@10"):
        columns = {title: ("popularity", part, figure) for part, title in titles.items()}
        lines += [f"{figure}, seen items masked:", "", *_figures(runs, columns), ""]
    return [*lines, "![popularity](popularity.png)"]


def _codes(runs: Runs) -> list[str]:
    if not runs:
        return []
    rows = [
        [name, str(level), f"{used:.4f}", f"{alone:.4f}"]
        for name, run in runs.items()
        for level, (used, alone) in enumerate(
            zip(run["codes"]["used"], run["codes"]["unique_by_level"], strict=True), start=1
        )
    ]
    header = ["run", "level", "codes in use", "items whose codes up to here are theirs alone"]
    return [*_table(header, rows), "", "![codes](codes.png)"]


def _costs(runs: Runs) -> list[str]:
    rows = [[name, *(f"{run[key]:,.0f}" for key in _COSTS.values())] for name, run in runs.items()]
    return _table(["run", *_COSTS], rows)


def _figures(runs: Runs, columns: Mapping[str, tuple[str, ...]]) -> list[str]:
    rows = [[name, *(_cell(run, path) for path in columns.values())] for name, run in runs.items()]
    return _table(["run", *columns], rows)


def _cell(run: Figures, path: tuple[str, ...]) -> str:
    value = at(run, path)
    deviation = run.get("spread", {}).get(" ".join(path))
    if value is None:
        return "-"
    return f"{value:.4f}" if deviation is None else f"{value:.4f} ± {deviation:.4f}"


def at(run: Figures, path: tuple[str, ...]) -> float | None:
    """A figure by its path; None where there is none.

    >>> at({"full": {"mrr": 0.5}}, ("full", "mrr")), at({}, ("full", "mrr"))
    (0.5, None)
    """
    *way, last = path
    return reduce(lambda figures, name: figures.get(name, {}), way, run).get(last)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
