"""`__all__` is what the package shows, and everything shown is documented."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import semid_tf as sid


def test_all_is_what_the_package_shows() -> None:
    shown = {
        name
        for name, value in vars(sid).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert sorted(shown - set(sid.__all__)) == [], "shown, but not in __all__"
    assert sorted(set(sid.__all__) - shown) == [], "in __all__, but not shown"


def test_all_names_nothing_twice() -> None:
    assert len(set(sid.__all__)) == len(sid.__all__)


def test_all_is_what_the_source_imports() -> None:
    tree = ast.parse(Path(sid.__file__).read_text(encoding="utf-8"))
    rooms = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module != "semid_tf"]
    imported = [alias.asname or alias.name for node in rooms for alias in node.names]
    assert sorted(imported) == sorted(sid.__all__)


@pytest.mark.parametrize("name", sid.__all__)
def test_public_parts_are_documented(name: str) -> None:
    part = getattr(sid, name)
    assert part.__doc__, name
    # A dataclass or a NamedTuple without a text of its own is given its signature.
    assert not part.__doc__.startswith(f"{name}("), name
    if inspect.isclass(part):
        bare = [method for method, value in _own_methods(part) if not inspect.getdoc(value)]
        assert bare == [], name


_METHODS = (property, classmethod, staticmethod, FunctionType)


def _own_methods(part: type) -> list[tuple[str, object]]:
    """Public methods and properties; those that only fill in Keras' own need no text."""
    return [
        (name, getattr(part, name))
        for name, value in vars(part).items()
        if not name.startswith("_") and isinstance(value, _METHODS)
    ]
