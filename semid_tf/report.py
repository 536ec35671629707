"""What a run says at its end: `summary.json` for programs, tables for people."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from semid_tf.chain import Chain
from semid_tf.methods import METHODS

SUMMARY = "summary.json"


def summarize(chain: Chain, elapsed: Callable[[], float]) -> dict[str, Any]:
    """All figures of a run, from the manifests of its artifacts; what is not made yet is made.

    Args:
        chain: of the run.
        elapsed: seconds since the run began, asked at the end.
    """
    artifacts = _artifacts(chain)
    codes = chain.codes.manifest.metrics
    return {
        "items": chain.tables.manifest.metrics["items"],
        "encoded": codes["encoded"],
        "rejected": codes["rejected"],
        "tables": chain.tables.manifest.metrics,
        "examples": chain.examples.manifest.metrics,
        "quantizer": chain.quality(),
        "sentencepiece": chain.tokenizer.manifest.metrics,
        "methods": {method: _figures(chain, method) for method in METHODS},
        "best_semantic_method": chain.best_semantic_method(),
        "export": str(chain.export.path),
        "verification": chain.verification.manifest.metrics,
        "artifacts": {artifact.manifest.kind: str(artifact.path) for artifact in artifacts},
        "seconds": round(elapsed(), 1),
    }


def _figures(chain: Chain, method: str) -> dict[str, Any]:
    return dict(chain.evaluations[method].manifest.metrics) | dict(chain.rankers[method].manifest.metrics)


def _artifacts(chain: Chain) -> list[Any]:
    first = [chain.tables, chain.examples, chain.quantizer, chain.codes, chain.tokenizer]
    return [*first, *chain.rankers.values(), *chain.evaluations.values(), chain.export, chain.verification]


def write_summary(folder: Path, summary: dict[str, Any]) -> Path:
    """Writes `summary.json`, whole or not at all."""
    target, staged = folder / SUMMARY, folder / f".{SUMMARY}-{os.getpid()}"
    staged.write_text(json.dumps(without_nan(summary), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return staged.replace(target)


def without_nan(value: Any) -> Any:
    """JSON knows no NaN: a figure that does not exist, such as the AUC of no cold items, is null."""
    if isinstance(value, dict):
        return {name: without_nan(part) for name, part in value.items()}
    if isinstance(value, list):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def print_summary(summary: dict[str, Any], console: Console) -> None:
    """The table of methods, the top ten of one user, and where everything lies."""
    console.print(_method_table(summary))
    verification = summary["verification"]
    console.print(_top_table(verification))
    console.print(
        f"New item, by its embedding alone: Semantic ID {verification['new_item']['semantic_id']}, "
        f"score {verification['new_item']['score']:.4f}"
    )
    tables, quantizer = summary["tables"], summary["quantizer"]
    console.print(
        f"{summary['encoded']:,} of {summary['items']:,} items encoded, {summary['rejected']:,} rejected; "
        f"{tables['distinct_embeddings']:,} differ in content; unique rate {quantizer['unique_rate']:.3f}, "
        f"normalized MSE {quantizer['normalized_mse']:.3f}, "
        f"codes in use {min(quantizer['code_usage']):.1%} at the emptiest level"
    )
    if tables["interactions_of_unknown_items"]:
        console.print(
            f"{tables['interactions_of_unknown_items']:,} interactions name unknown items: left out"
        )
    for kind, path in summary["artifacts"].items():
        console.print(f"{kind:28} {path}", soft_wrap=True, highlight=False)
    console.print(f"{summary['seconds']:.0f} s", highlight=False)


def _method_table(summary: dict[str, Any]) -> Table:
    table = Table(title="AUC after the training period (95 % intervals over users)")
    for column in ("method", "all", "warm", "cold", "rows", "parameters", "train s"):
        table.add_column(column, justify="left" if column == "method" else "right", no_wrap=True)
    for method, figures in summary["methods"].items():
        mark = " *" if method == summary["best_semantic_method"] else ""
        aucs = [_interval(figures, name) for name in ("auc", "auc_warm", "auc_cold")]
        counts = (f"{figures['rows'] or '-':,}" if figures["rows"] else "-", f"{figures['parameters']:,}")
        table.add_row(method + mark, *aucs, *counts, f"{figures['train_s']:.0f}")
    table.caption = "* exported: best of the Semantic-ID methods on validation"
    return table


def _interval(figures: dict[str, Any], name: str) -> str:
    return f"{figures[name]:.3f} [{figures[f'{name}_low']:.3f}, {figures[f'{name}_high']:.3f}]"


def _top_table(verification: dict[str, Any]) -> Table:
    table = Table(title=f"Top ten for user {verification['user_id']}, scored by the export in a bare process")
    for column in ("score", "item", "title"):
        table.add_column(column, no_wrap=True, max_width=80)
    for item in verification["top"]:
        table.add_row(f"{item['score']:.4f}", item["item_id"], item["title"])
    return table
