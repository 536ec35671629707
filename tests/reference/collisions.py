"""What to do where items share a Semantic ID: plain dictionaries and sets, one item after another."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

Codes = tuple[int, ...]


def tokens(items: Mapping[str, Codes], published: Mapping[str, Codes]) -> dict[str, Codes]:
    """Semantic ID of each item with its token: the smallest that nobody has, items in order of their ids."""
    taken = set(published.values())
    given = {}
    for item_id in sorted(items):
        if item_id in published:
            given[item_id] = published[item_id]
            continue
        free = ((*items[item_id], t) for t in itertools.count())
        given[item_id] = next(full for full in free if full not in taken)
        taken.add(given[item_id])
    return given


def relocated(
    items: Mapping[str, Codes],
    candidates: Mapping[str, Iterable[int]],
    capacity: int,
    published: Mapping[str, Codes],
) -> tuple[dict[str, Codes], set[str]]:
    """Semantic ID of each item, and who found no room: a round for each rank, items in order of their ids."""
    load: Counter[Codes] = Counter(published.values())
    given = {item_id: published[item_id] for item_id in items if item_id in published}
    waiting = sorted(set(items) - set(published))
    choices = {item_id: [(*items[item_id][:-1], int(c)) for c in candidates[item_id]] for item_id in waiting}
    for rank in range(max((len(c) for c in choices.values()), default=0)):
        for item_id in [name for name in waiting if name not in given]:
            wanted = choices[item_id][rank]
            if load[wanted] < capacity:
                load[wanted] += 1
                given[item_id] = wanted
    unplaced = {item_id for item_id in waiting if item_id not in given}
    return given | {item_id: items[item_id] for item_id in unplaced}, unplaced


def groups(items: Mapping[str, Codes]) -> dict[Codes, list[str]]:
    """The items that have each Semantic ID, in order of their ids."""
    found = defaultdict(list)
    for item_id in sorted(items):
        found[items[item_id]].append(item_id)
    return dict(found)
