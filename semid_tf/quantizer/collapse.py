"""Says which levels have collapsed, and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence

from semid_tf.config import CodeSpace

# A level is dead where its codes tell hardly anything: below this perplexity about all items have one code.
DEAD_PERPLEXITY = 1.5
# A level has collapsed where less than this share of the codes that could be in use is.
LEAST_USAGE = 0.5
# Codes are in use, but most items have a few of them: perplexity over codes in use. Codes with item counts of
# Zipf's law (exponent 1) have .29 at 256 codes, .14 at 2048 and .08 at 8192.
LEAST_EVENNESS = 0.05

_LATER_LEVELS = "fit fewer levels (num_levels): earlier codes leave nothing to tell apart"
_START = "start from k-means over more items (kmeans_items), lower learning_rate"
_REVIVE = "revive dead codes sooner (revive_after_steps)"


def collapse_warnings(
    usage: Sequence[float], perplexity: Sequence[float], code_space: CodeSpace, items: int | None = None
) -> list[str]:
    """One line for each level that is dead, collapsed or very uneven: what, where and how to mend it.

    A level is dead below `DEAD_PERPLEXITY` codes, collapsed where less than `LEAST_USAGE` of its codes are in
    use, uneven where its perplexity is below `LEAST_EVENNESS` of its codes in use.

    Args:
        usage: share of the codes in use, one a level, see `code_usage`.
        perplexity: one a level, see `perplexity`.
        code_space: levels and their codes.
        items: that were counted; so few items cannot use more codes. None = many.

    >>> collapse_warnings([1.0, 0.25], [200.0, 50.0], CodeSpace(2, 256))  # doctest: +ELLIPSIS
    ['level 1 has collapsed: 64 of 256 codes in use (25 %); revive dead codes sooner ...']
    """
    sizes = code_space.codebook_sizes
    reachable = [size if items is None else min(size, items) for size in sizes]
    lines = [
        _judge(level, size, reachable[level], usage[level] * size, perplexity[level])
        for level, size in enumerate(sizes)
        if reachable[level] > 1
    ]
    return [line for line in lines if line]


def _judge(level: int, size: int, reachable: int, used: float, perplexity: float) -> str:
    in_use = f"{used:.0f} of {size} codes in use ({used / size:.0%})".replace("%", " %")
    if perplexity < DEAD_PERPLEXITY:
        return f"level {level} is dead: nearly all items have one code, {in_use}; {_cure_of_death(level)}."
    if used < LEAST_USAGE * reachable:
        return f"level {level} has collapsed: {in_use}; {_REVIVE}, {_START}, or lower codebook_size."
    if perplexity < LEAST_EVENNESS * used:
        return (
            f"level {level} is uneven: {in_use}, but most items share about {perplexity:.0f} of them; "
            f"{_START}, or look for items that are nearly equal."
        )
    return ""


def _cure_of_death(level: int) -> str:
    return f"{_START}, {_REVIVE}" if level == 0 else f"{_START}, {_REVIVE}, or {_LATER_LEVELS}"
