"""The figures of each contender: fields, table, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple


class Figures(NamedTuple):
    """One entry of the JSON object; benchmarks/README.md says what each field means."""

    normalized_mse: float
    normalized_mse_new: float
    unique_rate: float
    code_usage: list[float]
    fit_s: float
    fit_wall_s: float
    encode_items_per_s: float
    matmul_bound_items_per_s: float
    encode_share_of_bound: float


_HEADER = "| | MSE | MSE new | unique | codes used | fit, CPU-s | fit, s | encode, items/s | of bound |"


def markdown_table(entries: Mapping[str, Figures]) -> str:
    """One row a contender."""
    rule = "|" + "---|" * (_HEADER.count("|") - 1)
    return "\n".join([_HEADER, rule, *(_row(name, figures) for name, figures in entries.items())])


def _row(name: str, figures: Figures) -> str:
    used = " ".join(f"{share:.1%}" for share in figures.code_usage)
    cells = [
        name,
        f"{figures.normalized_mse:.4f}",
        f"{figures.normalized_mse_new:.4f}",
        f"{figures.unique_rate:.2%}",
        "all" if min(figures.code_usage) == 1 else used,
        f"{figures.fit_s:.1f}",
        f"{figures.fit_wall_s:.1f}",
        f"{figures.encode_items_per_s:,.0f}",
        f"{figures.encode_share_of_bound:.0%}",
    ]
    return f"| {' | '.join(cells)} |"


def json_line(entries: Mapping[str, Figures]) -> str:
    """All entries as one line of JSON."""
    return json.dumps({name: figures._asdict() for name, figures in entries.items()}, allow_nan=False)
