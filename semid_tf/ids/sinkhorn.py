"""Codes used evenly: soft assignment with entropic regularisation (Cuturi 2013, arXiv 1306.0895).

LC-Rec (arXiv 2311.09049, sec. 3.2) and LETTER (arXiv 2405.07314) balance the last level of their codes so.
"""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from semid_tf.errors import ConfigError, DataError
from semid_tf.ids.item_codes import ItemCodes
from semid_tf.ids.published import standing
from semid_tf.ids.tuples import tuple_numbers

_LOWEST_PRICE = 1e-250  # where more items meet than all slots hold, prices fall without end


def balanced_codes(distances: np.ndarray, temperature: float = 0.02, iterations: int = 100) -> np.ndarray:
    """Codes of a batch such that all codes are used about equally often, at little more distance.

    Sinkhorn's iterations find the plan whose rows weigh 1 / n and whose columns weigh 1 / K; each row takes
    the code of most weight, ties the lowest. Rows are brought into one order first, so that a permutation of
    the rows permutes the codes, bit for bit; equal rows have equal codes.

    Args:
        distances: float [n, K], finite.
        temperature: of the plan, as a share of the mean distance above the nearest; near 0 = the cheapest
            even plan, large = no preference.
        iterations: of Sinkhorn.

    Returns:
        int32 [n], each in [0, K).

    >>> balanced_codes(np.array([[0.0, 1.0], [0.1, 0.9], [0.2, 0.7], [0.0, 0.4]])).tolist()
    [0, 0, 1, 1]

    Raises:
        DataError: the distances are no matrix or not finite.
        ConfigError: temperature or iterations out of range.
    """
    _require(distances, temperature, iterations)
    order = np.lexsort(distances.T[::-1])
    logs = _log_weights(distances[order], temperature)
    rows, columns = np.zeros((len(logs), 1)), np.zeros((1, logs.shape[1]))
    share = np.log(len(logs) / logs.shape[1]) if len(logs) else 0.0
    for _ in range(iterations):
        columns = share - logsumexp(logs + rows, axis=0, keepdims=True)
        rows = -logsumexp(logs + columns, axis=1, keepdims=True)
    codes = np.empty(len(logs), np.int32)
    codes[order] = np.argmax(logs + columns, axis=1)
    return codes


def balanced_candidates(
    items: ItemCodes,
    candidates: np.ndarray,
    distances: np.ndarray,
    capacity: int = 1,
    temperature: float = 0.02,
    iterations: int = 50,
    published: ItemCodes | None = None,
) -> np.ndarray:
    """Puts the candidates of each item into the order of a plan in which no Semantic ID is overfull.

    Each item gives weight 1 to its candidates; a Semantic ID whose weight is above `capacity` becomes dearer,
    one with room costs nothing. Items with another good choice thus leave crowded codes to those without.
    `relocate` then gives every item one code: pass it the result in the place of `candidates`, and the same
    `published`: what its items hold is no longer to be had, and they ask for nothing more.

    Args:
        items: the codes of the quantizer, int32 [n, num_levels].
        candidates: int32 [n, k], last codes of each item, nearest first.
        distances: float [n, k], of the candidates; see `measured_candidates`.
        capacity: items that a Semantic ID has room for.
        temperature: as of `balanced_codes`.
        iterations: of Sinkhorn. Time and memory grow with n k.
        published: what was given before, codes int32 [m, num_levels].

    Returns:
        int32 [n, k], each row re-ordered but those of published items; rows keep their order, and do not
        depend on it.

    Raises:
        DataError: the distances are no matrix of the candidates' shape or not finite.
        ConfigError: temperature or iterations out of range.
        CodesError: the published codes have another number of levels.
        ProvenanceError: `published` is of another quantizer.
    """
    _require(distances, temperature, iterations)
    if distances.shape != candidates.shape or len(candidates) != len(items):
        raise DataError(
            f"distances have shape {list(distances.shape)}, candidates {list(candidates.shape)}; both must "
            f"be [{len(items)}, k]."
        )
    before = standing(items, published, items.num_levels, "the published codes have")
    asking, reordered = before.new, np.array(candidates, np.int32)
    weights = np.exp(_log_weights(distances[asking], temperature))
    slots, held = _slots(items.codes[asking], candidates[asking], before.published.codes)
    plan = weights * _prices(weights, slots, np.maximum(capacity - held, 0), iterations)
    ranks = np.argsort(-plan, axis=1, kind="stable")
    reordered[asking] = np.take_along_axis(reordered[asking], ranks, axis=1)
    return reordered


def _prices(weights: np.ndarray, slots: np.ndarray, room: np.ndarray, iterations: int) -> np.ndarray:
    """What is left of each weight at the price of its slot: float64 [n, k] in (0, 1]."""
    prices = np.ones(len(room))
    for _ in range(iterations):
        shares = weights / (weights * prices[slots]).sum(axis=1, keepdims=True)
        load = np.bincount(slots.ravel(), shares.ravel(), minlength=len(room))
        prices = np.maximum(room / np.maximum(load, np.maximum(room, _LOWEST_PRICE)), _LOWEST_PRICE)
    return prices[slots]


def _slots(codes: np.ndarray, candidates: np.ndarray, published: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dense numbers of the full Semantic IDs that the items could have, int64 [n, k]; how many hold each."""
    beginnings = tuple_numbers(np.concatenate([codes[:, :-1], published[:, :-1]]))
    prefixes = np.unique(beginnings, return_inverse=True)[1]
    ours, theirs = np.split(prefixes, [len(codes)])
    width = int(max(candidates.max(initial=0), published[:, -1].max(initial=0))) + 1
    distinct, slots = np.unique(ours[:, None] * width + candidates, return_inverse=True)
    taken = np.sort(theirs * width + published[:, -1])
    held = np.searchsorted(taken, distinct, "right") - np.searchsorted(taken, distinct, "left")
    return slots.reshape(candidates.shape), held


def _log_weights(distances: np.ndarray, temperature: float) -> np.ndarray:
    above = np.asarray(distances, np.float64)
    above = above - above.min(axis=1, keepdims=True)
    mean = above.mean() if above.size else 0.0
    return -above / (temperature * mean) if mean else above


def _require(distances: np.ndarray, temperature: float, iterations: int) -> None:
    if distances.ndim != 2 or distances.shape[1] == 0 or not np.isfinite(distances).all():
        raise DataError(f"distances {list(distances.shape)} must be a finite matrix [items, codes].")
    if not temperature > 0 or iterations < 1:
        raise ConfigError(
            f"temperature must be above 0 and iterations at least 1, got {temperature} and {iterations}."
        )
