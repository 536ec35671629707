"""An extra last code tells items with equal codes apart (Rajput et al. 2023, arXiv 2305.05065, sec. 3.1)."""

from __future__ import annotations

import numpy as np

from semid_tf.errors import CodesError
from semid_tf.ids.item_codes import ItemCodes
from semid_tf.ids.published import standing
from semid_tf.ids.semantic_id import format_semantic_id
from semid_tf.ids.tuples import places_in_runs, tuple_numbers

_SPAN = 2**31  # of a token; a group and a token together fit 63 bits


def add_collision_tokens(items: ItemCodes, num_tokens: int, published: ItemCodes | None = None) -> ItemCodes:
    """Gives each item one more code, so that no two items have the same Semantic ID.

    Published items keep their Semantic ID as it was published. New items take the smallest tokens that are
    free among equal codes, in the order of their item ids; an item alone with its codes has token 0. So
    tokens depend on the items, not on the order of the rows, and adding items moves none.

    An item that is published but not among `items` keeps its token for as long as it stays in `published`:
    publish `published.extended(result)` to keep all that was ever given; leave a row out of `published` to
    free its token. Sorts: n log n.

    Args:
        items: the codes of the quantizer, int32 [n, num_levels].
        num_tokens: codes of the extra level; tokens lie in [0, num_tokens).
        published: what was given before, codes int32 [m, num_levels + 1].

    Returns:
        The same items in the same order, codes int32 [n, num_levels + 1].

    >>> codes = np.array([[7, 1], [7, 1], [3, 0]], np.int32)
    >>> add_collision_tokens(ItemCodes(np.array(["b", "a", "c"], object), codes), 256).codes.tolist()
    [[7, 1, 1], [7, 1, 0], [3, 0, 0]]

    Raises:
        CodesError: more items share their codes than there are tokens; two published items have the same
            Semantic ID; the levels do not fit.
        ProvenanceError: `published` is of another quantizer.
    """
    before = standing(items, published, items.num_levels + 1, "the codes and a token have")
    codes, new = before.codes, before.new
    codes[new, :-1] = items.codes[new]
    codes[new, -1] = _free_tokens(before.published.codes, items.codes[new])
    result = items.with_codes(codes, before.quantizer)
    _require_room(result, num_tokens)
    return result


def _free_tokens(published: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Token of each new item: int64 [n]; the i-th of a group gets the i-th number that is free there."""
    groups = tuple_numbers(np.concatenate([published[:, :-1], new]))
    groups = np.unique(groups, return_inverse=True)[1]
    taken, asking = groups[: len(published)] * _SPAN + published[:, -1], groups[len(published) :]
    places = np.empty(len(asking), np.int64)
    by_group = np.argsort(asking, kind="stable")
    places[by_group] = places_in_runs(asking[by_group])
    return places + _taken_below(_without_twins(np.sort(taken)), asking, places)


def _taken_below(taken: np.ndarray, groups: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How many tokens taken in a group lie below its free number at each place.

    The j-th taken token t has t - j free numbers below it, so it lies below the i-th free number exactly
    where t - j <= i.
    """
    free_below = taken - places_in_runs(taken // _SPAN)
    before_group = np.searchsorted(taken, groups * _SPAN)
    return np.searchsorted(free_below, groups * _SPAN + places, side="right") - before_group


def _without_twins(taken: np.ndarray) -> np.ndarray:
    if (taken[1:] == taken[:-1]).any():
        raise CodesError("two published items have the same Semantic ID; publish each Semantic ID once.")
    return taken


def _require_room(items: ItemCodes, num_tokens: int) -> None:
    row = int(np.argmax(items.codes[:, -1])) if len(items) else 0
    if len(items) and items.codes[row, -1] >= num_tokens:
        raise CodesError(
            f"items with codes {format_semantic_id(items.codes[row, :-1])}, such as {items.item_ids[row]!r}, "
            f"need {items.codes[row, -1] + 1} tokens, but there are {num_tokens}; raise num_tokens, or "
            "relocate first."
        )
