"""The experiment in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from experiments.singh2024.summary import WITHOUT_HISTORY

_HEADER = ("method", "rows", "got", "all", "gain %", "warm", "cold", "gain %", "look-ups", "train s")


def markdown(summary: dict[str, Any], command: str) -> str:
    """All figures, for people."""
    world = summary["world"]
    lines = [
        "# Singh et al. 2024 on this catalogue",
        "",
        f"    {command}",
        "",
        f"{world['items']:,} items, {world['interactions']:,} interactions, {world['train']:,} trained on, "
        f"{world['test']:,} tested, {world['cold_items']:,} items cold; unique rate of the Semantic IDs "
        f"{world['unique_rate']:.3f}. {summary['seconds']:.0f} s on {summary['machine']}.",
        "",
        "AUC over all test candidates, warm and cold ones; brackets are bootstrap intervals over users; "
        "gains are over random hashing with the smallest table; seconds are of all that a method stands on.",
        "",
        "## With the user's history (figure 2)",
        "",
        *_table(_cells(summary)),
        "",
        "![gain](gain.png)",
        "",
        "![look-ups](lookups.png)",
        "",
        "## Without history (figure 3)",
        "",
        *_table((name, rows, cell[WITHOUT_HISTORY]) for name, rows, cell in _cells(summary)),
        "",
        "## By popularity: tenths of the warm items, the rarest first",
        "",
        *_deciles(summary),
        "",
        "![deciles](deciles.png)",
        "",
        "## Semantic IDs (table 1) and stability",
        "",
        *_prefixes(world),
        "",
        *_stability(summary),
    ]
    return "\n".join(lines) + "\n"


def _cells(summary: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, method in summary["methods"].items():
        for rows, cell in method["rows"].items():
            yield name, rows, cell


def _table(cells: Any) -> Iterator[str]:
    yield _row(_HEADER)
    yield _row(["---"] * len(_HEADER))
    for name, rows, cell in cells:
        lookups = cell.get("lookups_per_item")
        yield _row(
            [
                name,
                f"{int(rows):,}" if rows != "0" else "-",
                f"{cell['rows']:,}" if cell["rows"] else "-",
                _interval(cell, "auc"),
                _number(cell["auc_gain_percent"], "+.2f"),
                _number(cell["auc_warm"]),
                _interval(cell, "auc_cold"),
                _number(cell["auc_cold_gain_percent"], "+.2f"),
                _number(lookups, ".2f"),
                f"{cell['train_s']:.0f}",
            ]
        )


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, form: str = ".4f") -> str:
    return "-" if value is None else format(value, form)


def _interval(cell: dict[str, Any], name: str) -> str:
    low, high = (_number(cell[f"{name}_{end}"]) for end in ("low", "high"))
    return f"{_number(cell[name])} [{low}, {high}]"


def _deciles(summary: dict[str, Any]) -> Iterator[str]:
    yield _row(["method", "rows", *(str(tenth) for tenth in range(1, 11))])
    yield _row(["---"] * 12)
    for name, rows, cell in _cells(summary):
        yield _row([name, rows, *(_number(value, ".3f") for value in cell["auc_by_decile"])])


def _prefixes(world: dict[str, Any]) -> Iterator[str]:
    yield _row(["shared prefix", "mean cosine", "sub-trie 25 %", "50 %", "75 %", "stability (adjusted Rand)"])
    yield _row(["---"] * 6)
    columns = zip(world["prefix_cosines"], world["subtrie_sizes"], world["prefix_stability"], strict=True)
    for length, (cosine, sizes, rand) in enumerate(columns, start=1):
        yield _row([str(length), _number(cosine, ".3f"), *(f"{n:.0f}" for n in sizes), f"{rand:.3f}"])


def _stability(summary: dict[str, Any]) -> Iterator[str]:
    yield "The unigram ranker over the codes of quantizers that learned from all of the training period and"
    yield "from either half of it:"
    yield ""
    yield _row(["codes", "all", "cold"])
    yield _row(["---"] * 3)
    for codes, figures in summary["codes_of_another_time"].items():
        yield _row([codes, _number(figures["auc"]), _number(figures["auc_cold"])])
