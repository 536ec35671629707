"""Where the wanted item stands among others: recall (hit rate), NDCG and MRR of ranks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import hypergeom


def ranks_of(scores: np.ndarray, targets: np.ndarray, excluded: np.ndarray | None = None) -> np.ndarray:
    """How many other items score at least as high as the wanted one: 0 = it stands first.

    An item that ties with the wanted one stands before it, so that a model that scores all items alike, or
    gives many items one code, gains nothing by it.

    Args:
        scores: float [n, num_items].
        targets: int [n], column of the wanted item.
        excluded: bool [n, num_items], items that do not compete, such as those seen before; the wanted item
            itself always does.

    Returns:
        int64 [n].

    >>> ranks_of(np.array([[0.3, 0.9, 0.3]]), np.array([0])).tolist()
    [2]
    """
    others = scores >= np.take_along_axis(scores, targets[:, None], axis=1)
    if excluded is not None:
        others &= ~excluded
    np.put_along_axis(others, targets[:, None], False, axis=1)
    return others.sum(axis=1)


def ranking_figures(ranks: np.ndarray, cutoffs: Sequence[int]) -> dict[str, float]:
    """`recall@k` (with one wanted item also the hit rate) and `ndcg@k` for each cutoff, and `mrr`.

    Args:
        ranks: int [n], 0 = first; none gives nan.
        cutoffs: the k.

    >>> ranking_figures(np.array([0, 3]), [2])
    {'recall@2': 0.5, 'ndcg@2': 0.5, 'mrr': 0.625}
    """
    if not len(ranks):
        return {name: float("nan") for name in ranking_figures(np.zeros(1), cutoffs)}
    gains = 1 / np.log2(ranks + 2)
    figures = {}
    for k in cutoffs:
        figures[f"recall@{k}"] = float(np.mean(ranks < k))
        figures[f"ndcg@{k}"] = float(np.mean(np.where(ranks < k, gains, 0)))
    return figures | {"mrr": float(np.mean(1 / (ranks + 1)))}


def expected_among(ranks: np.ndarray, others: int, drawn: int, cutoff: int) -> dict[str, float]:
    """`recall@k` and `ndcg@k` to be expected among so many others drawn at random instead of all.

    Without the noise of a draw, and far steadier than figures among all items, of which few targets are in
    the top ten (Krichene and Rendle 2020, sec. 4, on what sampled figures measure).

    Args:
        ranks: int [n], among all others, 0 = first.
        others: how many there are.
        drawn: how many of them compete.
        cutoff: k.

    >>> expected_among(np.array([1]), others=2, drawn=1, cutoff=1)
    {'recall@1 among 1': 0.5, 'ndcg@1 among 1': 0.5}
    """
    better = np.arange(cutoff)
    chances = hypergeom.pmf(better, others, ranks[:, None], drawn)
    gains = {"recall": np.ones(cutoff), "ndcg": 1 / np.log2(better + 2)}
    return {f"{name}@{cutoff} among {drawn}": float(np.mean(chances @ gain)) for name, gain in gains.items()}
