"""Says which levels have collapsed, and how to mend it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from semid_tf.config import CodeSpace
from semid_tf.quantizer.metrics import perplexity_of_counts, usage_of_counts

# A level has collapsed where less than this share of the codes that could be in use is.
LEAST_USAGE = 0.9
# It is uneven where their perplexity is below this share of them. Codes with item counts of Zipf's law
# (exponent 1) have .29 at 256 codes and .14 at 2048; with the root of such counts .87 at any size.
LEAST_PERPLEXITY = 0.2
# It is dead where its codes tell hardly anything: below this perplexity about all items have one code.
_DEAD_PERPLEXITY = 1.5
_CALLER_OF_FIT = 4
# Items a code that leave next to none unused by chance: one in ten million.
_MANY_ITEMS = 16

_LATER_LEVELS = "fit fewer levels (num_levels): earlier codes leave nothing to tell apart"
_START = "start from k-means over more items (kmeans_items), lower learning_rate"
_REVIVE = "revive dead codes sooner (revive_after_steps)"
_LOOK = "look for items that are nearly equal"


class Cures(NamedTuple):
    """What mends a level that is dead, has collapsed, or is uneven."""

    dead: str
    collapsed: str
    uneven: str


OF_TRAINING = Cures(
    f"{_START}, {_REVIVE}", f"{_REVIVE}, {_START}, or lower codebook_size", f"{_START}, or {_LOOK}"
)
OF_CLUSTERS = Cures(_LOOK, f"lower codebook_size, or {_LOOK}", f"set balanced, or {_LOOK}")


class CodebookCollapseWarning(UserWarning):
    """A level of a fitted quantizer uses too few of its codes, see `collapse_warnings`."""


def collapse_warnings(
    usage: Sequence[float],
    perplexity: Sequence[float],
    code_space: CodeSpace,
    items: int | None = None,
    cures: Cures = OF_TRAINING,
) -> list[str]:
    """One line for each level that uses too few of its codes: what, where and how to mend it.

    A level is said where less than 90 % of its codes are in use, or their perplexity is below 20 % of their
    number; of few items only as many codes count as these would use if they chose evenly at random.

    Args:
        usage: share of the codes in use, one a level, see `code_usage`.
        perplexity: one a level, see `perplexity`.
        code_space: levels and their codes.
        items: different ones that were counted. None = many.
        cures: what mends; by default how an RQ-VAE is trained.

    >>> collapse_warnings([1.0, 0.25], [200.0, 50.0], CodeSpace(2, 256))  # doctest: +ELLIPSIS
    ['level 1 has collapsed: 64 of 256 codes in use (25 %), perplexity 50.0; revive dead codes sooner ...']
    """
    lines = []
    for level, size in enumerate(code_space.codebook_sizes):
        reachable = size if items is None else _reachable(size, items)
        used = usage[level] * size
        if used < LEAST_USAGE * reachable or perplexity[level] < LEAST_PERPLEXITY * reachable:
            found = f"{used:.0f} of {size} codes in use ({used / size:.0%})".replace("%", " %")
            few = f"there are only {items} different items, so lower codebook_size or give more items"
            what, cure = _judge(level, used / reachable, perplexity[level], cures)
            cure = few if items is not None and items < size else cure
            lines.append(f"level {level} {what}: {found}, perplexity {perplexity[level]:.1f}; {cure}.")
    return lines


def _reachable(size: int, items: int) -> float:
    """Codes of a level that so many items use if they choose evenly at random."""
    return size * (1 - (1 - 1 / size) ** items)


def _judge(level: int, usage: float, perplexity: float, cures: Cures) -> tuple[str, str]:
    """What a level is, and what mends it."""
    if perplexity < _DEAD_PERPLEXITY:
        later = "" if level == 0 else f", or {_LATER_LEVELS}"
        return "is dead, nearly all items have one code", f"{cures.dead}{later}"
    if usage < LEAST_USAGE:
        return "has collapsed", cures.collapsed
    return "is uneven, most items share a few codes", cures.uneven


def warn_of_collapse(
    when: str,
    counts: np.ndarray,
    embeddings: np.ndarray,
    code_space: CodeSpace,
    cures: Cures = OF_TRAINING,
) -> bool:
    """One `CodebookCollapseWarning` for each line of `collapse_warnings`; whether there was any.

    Args:
        when: of what the counts are; begins each line.
        counts: int [num_levels, largest codebook].
        embeddings: float32 [n, dim], what was coded, or a sample.
        code_space: levels and their codes.
        cures: what mends.
    """
    items = different_rows(embeddings, code_space)
    usage, perplexity = usage_of_counts(counts, code_space), perplexity_of_counts(counts)
    lines = collapse_warnings(usage.tolist(), perplexity.tolist(), code_space, items, cures)
    for line in lines:
        warnings.warn(f"{when}{line}", CodebookCollapseWarning, stacklevel=_CALLER_OF_FIT)
    return bool(lines)


def different_rows(rows: np.ndarray, code_space: CodeSpace) -> int:
    """How many rows of [n, dim] differ; it stops counting at 16 a code, where all codes can be reached.

    >>> different_rows(np.array([[1, 2], [1, 2], [3, 4]]), CodeSpace(2, 8))
    2
    """
    found: set[int] = set()
    for row in rows:
        found.add(hash(row.tobytes()))  # the bytes themselves would be another copy of the rows
        if len(found) == _MANY_ITEMS * code_space.largest:
            break
    return len(found)
