"""Reads syntax trees for imports that run the wrong way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

# A room may import from the rows above its own, and from itself.
ROOMS = [
    {"errors"},
    {"config", "_keras2", "progress", "interrupt"},
    {"quiet"},
    {"artifacts"},
    {"data"},
    {"ids"},
    {"quantizer"},
    {"tokenization"},
    {"layers"},
    {"models"},
    {"evaluation"},
    {"training"},
    {"methods", "showcase", "daily"},
    {"chain"},
    {"report"},
    {"cli"},
]
ROW = {room: row for row, rooms in enumerate(ROOMS) for room in rooms}
# The package itself shows the library; what runs the library stands below it.
PACKAGE_ROW = ROW["methods"]
OUTSIDE = ("pipelines", "serving", "benchmarks")
MAY_IMPORT_OUTSIDE = ("chain", "cli")
KERAS_CHOOSER = "_keras2"


def violations(root: Path) -> list[str]:
    """One line for each wrong import of `semid_tf`, `pipelines`, `serving` and `benchmarks` in `root`."""
    return [
        f"{path.relative_to(root)}:{line}: {wrong}"
        for package in ("semid_tf", *OUTSIDE)
        for path in sorted((root / package).rglob("*.py"))
        for line, wrong in _wrong(path.relative_to(root), ast.parse(path.read_text(encoding="utf-8")))
    ]


def _wrong(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if _is_tf_keras_attribute(node) and path.stem != KERAS_CHOOSER:
            yield node.lineno, "uses tf.keras; use tf_keras"
        for name, written in _imports(node):
            wrong = _judge(path, name, written)
            if wrong:
                yield node.lineno, wrong


def _is_tf_keras_attribute(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "keras"
        and isinstance(node.value, ast.Name)
        and node.value.id in ("tf", "tensorflow")
    )


def _imports(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Full name and written form of each import in a statement."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, ast.unparse(node)
    if isinstance(node, ast.ImportFrom):
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            yield f"{module}.{alias.name}", ast.unparse(node)


def _judge(path: Path, name: str, written: str) -> str:
    package, top = path.parts[0], name.split(".")[0]
    if name.startswith("."):
        return f"{written}: imports are absolute"
    if top == "keras" or name.startswith(("tensorflow.keras", "tensorflow.python")):
        return f"{written}: use tf_keras"
    if package in OUTSIDE:
        return _judge_outside(package, top, written)
    if top in OUTSIDE and _room(path) not in MAY_IMPORT_OUTSIDE:
        return f"{written}: only {' and '.join(MAY_IMPORT_OUTSIDE)} may import {top}"
    return _judge_room(path, name, written) if top == "semid_tf" else ""


def _judge_outside(package: str, top: str, written: str) -> str:
    if top == "semid_tf" and written != "import semid_tf as sid":
        return f"{written}: {package} knows the library only by `import semid_tf as sid`"
    known = OUTSIDE if package == "benchmarks" else (package,)  # what is measured must be known
    return f"{written}: {package} does not know {top}" if top in OUTSIDE and top not in known else ""


def _room(path: Path) -> str:
    return path.parts[1].removesuffix(".py")


def _judge_room(path: Path, name: str, written: str) -> str:
    here, there = _room(path), [*name.split("."), "__init__"][1]
    unplaced = [room for room in (here, there) if room not in ROW and room != "__init__"]
    if unplaced:
        return f"{written}: {unplaced[0]} has no place in the order of rooms; give it one"
    if there == "__init__":
        return f"{written}: a module of the library imports from the room, not from the package"
    row = PACKAGE_ROW if here == "__init__" else ROW[here]
    return "" if here == there or ROW[there] < row else f"{written}: {here} stands above {there}, not below"
