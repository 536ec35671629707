"""The paper's figures as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.singh2024.summary import WITHOUT_HISTORY

_PANELS = (
    ("with history, all", False, "auc"),
    ("with history, cold", False, "auc_cold"),
    ("without history, all", True, "auc"),
    ("without history, cold", True, "auc_cold"),
)


def plot_all(summary: dict[str, Any], folder: Path) -> None:
    """Writes `gain.png` (figures 2 and 3), `lookups.png` (figure 4) and `deciles.png`."""
    _plot_gains(summary["methods"]).savefig(folder / "gain.png", dpi=120)
    _plot_lookups(summary["methods"]).savefig(folder / "lookups.png", dpi=120)
    _plot_deciles(summary["methods"]).savefig(folder / "deciles.png", dpi=120)


def _plot_gains(methods: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(12, 8), layout="constrained")
    for axes, (title, blank, name) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        for method, found in methods.items():
            cells = [cell[WITHOUT_HISTORY] if blank else cell for cell in found["rows"].values()]
            _line(axes, method, found["rows"], [cell[f"{name}_gain_percent"] for cell in cells])
        axes.set(title=title, xlabel="rows of the table", ylabel="gain in AUC, %", xscale="log")
    figure.axes[0].legend(fontsize="small")
    return figure


def _line(axes: Axes, label: str, rows: Any, values: list[Any]) -> None:
    """A line over table sizes, or a level for a method that has one size or no table."""
    sizes, heights = [int(size) for size in rows], _heights(values)
    if len(sizes) == 1:
        axes.axhline(heights[0], label=label, linestyle=":", color=f"C{len(axes.lines) % 10}")
    else:
        axes.plot(sizes, heights, marker="o", label=label, color=f"C{len(axes.lines) % 10}")


def _heights(values: list[Any]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _plot_lookups(methods: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for method, found in methods.items():
        lookups = [cell.get("lookups_per_item") for cell in found["rows"].values()]
        if None not in lookups:
            _line(axes, method, found["rows"], lookups)
    axes.set(xlabel="rows of the table", ylabel="look-ups an item", xscale="log")
    axes.legend()
    return figure


def _plot_deciles(methods: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for method, found in methods.items():
        largest = list(found["rows"].values())[-1]
        value, low, high = (_heights(largest[f"auc_by_decile{end}"]) for end in ("", "_low", "_high"))
        (line,) = axes.plot(range(1, 11), value, marker=".", label=method)
        axes.fill_between(range(1, 11), low, high, color=line.get_color(), alpha=0.15)
    axes.set(xlabel="tenth of the warm items by popularity", ylabel="AUC, largest table")
    axes.legend(fontsize="small")
    return figure
