"""The tree of exceptions is the one that its docstring draws."""

from __future__ import annotations

import re

import semid_tf as sid
from semid_tf import errors


def test_the_tree_is_drawn_as_it_is() -> None:
    lines = [line[4:] for line in errors.__doc__.splitlines() if re.match(r" {4}\S|    [│ ]*[├└]", line)]
    open_branches: list[str] = []
    drawn = {}
    for line in lines:
        name = re.search(r"\w+", line)
        depth = name.start() // 4
        open_branches[depth:] = [name[0]]
        drawn[name[0]] = open_branches[depth - 1] if depth else "Exception"
    real = {name: kind.__base__.__name__ for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert drawn == real


def test_all_are_public() -> None:
    names = [name for name, kind in vars(errors).items() if isinstance(kind, type)]
    assert set(names) <= set(sid.__all__)
