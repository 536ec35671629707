"""The ranker in plain NumPy and float64: attention to a history, products, DCN-v2 (Wang et al. 2021), MLP."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Layers = list[tuple[np.ndarray, np.ndarray]]


class Weights(NamedTuple):
    """Everything that is trained, and the item vectors.

    Attributes:
        items: vector of each item index, [num_items + 1, dim]; row 0 is zero.
        interest_recency: by the age of a place in the history, 0 = latest; older ones share the last.
        match_recency: the same for the attention of a candidate.
        match_scale: factor of a likeness.
        crosses: kernel and bias of each cross layer.
        tower: kernel and bias of each layer of the MLP.
    """

    items: np.ndarray
    interest_recency: np.ndarray
    match_recency: np.ndarray
    match_scale: float
    crosses: Layers
    tower: Layers


def weights_of(ranker: Any) -> Weights:
    """The weights of a ranker over pieces."""
    table = ranker.item_embedding.embedding.table.numpy().astype(np.float64)
    pieces = ranker.item_embedding.features.numpy()
    return Weights(
        (table[pieces] * (pieces > 0)[..., None]).sum(axis=1),
        ranker.attention.interest_recency.numpy(),
        ranker.attention.match_recency.numpy(),
        float(ranker.attention.match_scale),
        [tuple(weight.numpy() for weight in cross.weights) for cross in ranker.crosses],
        [tuple(weight.numpy() for weight in layer.weights) for layer in ranker.tower.layers if layer.weights],
    )


def logits(weights: Weights, history: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Scores [b, c] of item indices [b, c] for histories [b, h], 0 = padding, latest last."""
    scores = np.zeros(candidates.shape)
    for user, place in np.ndindex(candidates.shape):
        seen = weights.items[[index for index in history[user] if index]]
        scores[user, place] = _logit(weights, seen, weights.items[candidates[user, place]])
    return scores


def _logit(weights: Weights, seen: np.ndarray, item: np.ndarray) -> float:
    age = np.minimum(np.arange(len(seen))[::-1], len(weights.interest_recency) - 1)
    interest = _mean(seen, weights.interest_recency[age])
    alike = _mean(seen, weights.match_scale * (seen @ item) + weights.match_recency[age])
    products = interest * item, alike * item
    start = crossed = np.concatenate([interest, item, *products])
    for kernel, bias in weights.crosses:
        crossed = start * (crossed @ kernel + bias) + crossed
    for kernel, bias in weights.tower[:-1]:
        crossed = np.maximum(crossed @ kernel + bias, 0)
    (kernel, bias), hidden = weights.tower[-1], crossed
    return (hidden @ kernel + bias).item() + sum(product.sum() for product in products)


def _mean(vectors: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Mean by the softmax of logits; zeros of nothing."""
    if not len(vectors):
        return np.zeros(vectors.shape[1])
    shares = np.exp(logits.astype(np.float64) - logits.max())
    return shares @ vectors / shares.sum()
