"""The experiment as PNG."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from experiments.lin2025.report import Runs, with_codes

_PANELS = {
    "Recall@10 among all items but those seen": ("full_masked", "recall@10"),
    "HR@10 among 99 unseen items": ("sampled", "hr@10"),
}


def plot_all(runs: Runs, folder: Path) -> None:
    """Writes `recall.png`, `popularity.png` and, where items have Semantic IDs, `codes.png`."""
    _plot_recall(runs).savefig(folder / "recall.png")
    _plot_popularity(runs).savefig(folder / "popularity.png")
    if with_codes(runs):
        _plot_codes(with_codes(runs)).savefig(folder / "codes.png")


def _plot_recall(runs: Runs) -> Figure:
    """Bars as long as the mean, whiskers as long as the standard deviation over seeds."""
    figure = Figure(figsize=(12, 0.4 * len(runs) + 1.5), layout="tight")
    names = list(runs)[::-1]
    for axes, (title, (protocol, name)) in zip(
        figure.subplots(1, 2, sharey=True), _PANELS.items(), strict=True
    ):
        means = [runs[run][protocol][name] for run in names]
        deviations = [runs[run].get("spread", {}).get(f"{protocol} {name}", 0) for run in names]
        axes.barh(names, means, xerr=deviations, capsize=3)
        axes.set_xlabel(title)
    return figure


def _plot_popularity(runs: Runs) -> Figure:
    figure = Figure(figsize=(8, 0.2 * len(runs) + 4), layout="tight")
    axes = figure.subplots()
    for number, (name, run) in enumerate(runs.items()):
        recalls = [part["recall@10"] for part in run["popularity"].values()]
        style = ("-", "--", ":")[number // 10 % 3]  # there are ten colours
        axes.plot(list(run["popularity"]), recalls, marker=".", linestyle=style, label=name)
    axes.set(xlabel="events of the wanted item in training", ylabel="Recall@10, seen items masked")
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _plot_codes(runs: Runs) -> Figure:
    """One bar a level: the share of its codes that some item has."""
    figure = Figure(figsize=(8, 0.5 * len(runs) + 1.5), layout="tight")
    axes = figure.subplots()
    levels = max(len(run["codes"]["used"]) for run in runs.values())
    for level in range(levels):
        known = {number: run["codes"]["used"] for number, run in enumerate(runs.values())}
        shares = {number: used[level] for number, used in known.items() if level < len(used)}
        places = [number + (level - (levels - 1) / 2) * 0.8 / levels for number in shares]
        axes.barh(places, list(shares.values()), height=0.8 / levels, label=f"level {level + 1}")
    axes.set_yticks(range(len(runs)), list(runs))
    axes.invert_yaxis()
    axes.set_xlabel("codes in use")
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure
