"""The quality of Semantic IDs, counted exactly over a whole catalogue."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semid_tf.config import CodeSpace
from semid_tf.errors import DataError
from semid_tf.ids import format_semantic_id, require_codes, tuple_numbers
from semid_tf.quantizer.metrics import code_counts, code_usage, gini, perplexity

LARGEST_GROUPS = 10
EXAMPLES = 3


class SharedID(NamedTuple):
    """A Semantic ID that several items have.

    Attributes:
        semantic_id: its text form.
        size: items that have it.
        item_ids: some of them, the first in the order of their ids.
    """

    semantic_id: str
    size: int
    item_ids: list[str]


class Quality(NamedTuple):
    """What is counted over a catalogue.

    Attributes:
        items: of the catalogue.
        distinct_ids: different Semantic IDs among them.
        unique_rate: distinct_ids / items.
        colliding_rate: share of the items whose Semantic ID another item has too.
        items_per_id_gini: 0 = every Semantic ID in use has equally many items, near 1 = few have nearly all.
        largest_groups: at most ten, of two items or more; the largest first, equals in order of codes.
        codes_used: codes in use, one number a level.
        code_usage: their share of the level's codes.
        perplexity: exp of the entropy of the codes, one number a level.
    """

    items: int
    distinct_ids: int
    unique_rate: float
    colliding_rate: float
    items_per_id_gini: float
    largest_groups: list[SharedID]
    codes_used: list[int]
    code_usage: list[float]
    perplexity: list[float]

    def plain(self) -> dict[str, object]:
        """As JSON has it."""
        groups = [group._asdict() for group in self.largest_groups]
        return self._asdict() | {"largest_groups": groups}


def quality_of(item_ids: np.ndarray, codes: np.ndarray, code_space: CodeSpace) -> Quality:
    """Counts over a whole catalogue; one sort of n integers, nothing sampled, nothing hashed.

    Args:
        item_ids: strings, object [n].
        codes: int [n, num_levels].
        code_space: the range of the codes.

    >>> ids = np.array(["a", "b", "c"], object)
    >>> quality = quality_of(ids, np.array([[0, 1], [0, 1], [2, 3]]), CodeSpace(2, 4))
    >>> quality.unique_rate, quality.colliding_rate, quality.codes_used
    (0.6666666666666666, 0.6666666666666666, [2, 2])
    >>> quality.largest_groups
    [SharedID(semantic_id='0-1', size=2, item_ids=['a', 'b'])]

    Raises:
        DataError: no items, or another number of ids than codes.
        CodesError: a code is out of range.
    """
    if len(item_ids) != len(codes) or not len(codes):
        raise DataError(
            f"{len(item_ids)} item_ids meet {len(codes)} rows of codes; both must agree, and be at least 1."
        )
    require_codes(codes, code_space)
    numbers = tuple_numbers(codes)
    order = np.argsort(numbers)
    starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    sizes = np.diff(starts, append=len(codes))
    return Quality(
        items=len(codes),
        distinct_ids=len(sizes),
        unique_rate=len(sizes) / len(codes),
        colliding_rate=float(sizes[sizes > 1].sum() / len(codes)),
        items_per_id_gini=gini(sizes),
        largest_groups=[
            _shared(item_ids, codes, order[starts[group] : starts[group] + sizes[group]])
            for group in _largest(sizes)
        ],
        codes_used=(code_counts(codes, code_space) > 0).sum(axis=1).tolist(),
        code_usage=code_usage(codes, code_space),
        perplexity=perplexity(codes, code_space),
    )


def _largest(sizes: np.ndarray) -> np.ndarray:
    largest = np.argsort(-sizes, kind="stable")[:LARGEST_GROUPS]
    return largest[sizes[largest] > 1]


def _shared(item_ids: np.ndarray, codes: np.ndarray, rows: np.ndarray) -> SharedID:
    examples = sorted(item_ids[rows])[:EXAMPLES]
    return SharedID(format_semantic_id(codes[rows[0]]), len(rows), [str(item_id) for item_id in examples])
