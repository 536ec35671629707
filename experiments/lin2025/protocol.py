"""Judges a model by both protocols, on cold items, by popularity, and by its codes."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

import semid_tf as sid
from experiments.figures import Figures
from experiments.lin2025.world import World

NEGATIVES = 99
SAMPLED, FULL = (1, 5, 10), (5, 10, 20)
_TOP = 10
_PARTS = 5


def figures(model: sid.SequenceScorer, world: World, seed: int) -> Figures:
    """How a model does on the last event of each user."""
    targets = world.split.test
    negatives = sid.draw_unseen(world.sequences, targets.users, world.num_items, NEGATIVES, seed)
    ranks = sid.next_item_ranks(model, targets, world.num_items, negatives)
    sampled = sid.ranking_figures(ranks.sampled, SAMPLED)
    return {
        "sampled": {name.replace("recall", "hr"): value for name, value in sampled.items()},
        "full": sid.ranking_figures(ranks.full, FULL),
        "full_masked": sid.ranking_figures(ranks.full_masked, FULL),
        "popularity": by_popularity(ranks.full_masked, targets.items, world.counts),
        **_codes(model, world),
    }


def require_negatives(world: World) -> None:
    """Tells before any training whether there are items enough that a user never touched.

    Raises:
        DataError: there are not.
    """
    users = world.split.test.users
    busy = users[world.sequences.lengths[users] > world.num_items - NEGATIVES]
    sid.draw_unseen(world.sequences, busy, world.num_items, NEGATIVES, seed=0)


def cold_figures(model: sid.SequenceScorer, world: World) -> Figures:
    """How a model ranks held-out items among all items but those of the history."""
    targets = world.cold_targets(world.split.test)
    ranks = sid.masked_ranks(model, targets, world.num_items)
    return sid.ranking_figures(ranks, FULL) | {"targets": len(targets.items)}


def by_popularity(ranks: np.ndarray, items: np.ndarray, counts: np.ndarray) -> dict[str, Figures]:
    """Figures of the targets by how often training met the wanted item.

    Targets that it never met are a part of their own, the others about five parts of equally many targets.
    Items met equally often stay together, so parts differ in size, and there may be fewer.

    Args:
        ranks: int [n], 0 = first.
        items: int [n], item indices of the targets.
        counts: int [num_items], events of each item in training.

    Returns:
        By range of events, such as `3-7`: items of the catalogue and targets in it, recall, NDCG and MRR.
    """
    wanted = counts[items - 1]
    fifths = np.array_split(np.sort(wanted[wanted > 0]), _PARTS)
    bounds = np.unique([0, *(part[-1] for part in fifths[:-1] if len(part))])
    parts, parts_of_items = np.searchsorted(bounds, wanted), np.searchsorted(bounds, counts)
    return {
        _range(counts[parts_of_items == part]): {
            "items": int(np.count_nonzero(parts_of_items == part)),
            "targets": int(np.count_nonzero(parts == part)),
            **sid.ranking_figures(ranks[parts == part], (_TOP,)),
        }
        for part in np.unique(parts)
    }


def _range(counts: np.ndarray) -> str:
    low, high = counts.min(), counts.max()
    return f"{low}" if low == high else f"{low}-{high}"


def _codes(model: sid.SequenceScorer, world: World) -> Figures:
    """Shares of the codes in use at each level, and of the items whose codes up to it are theirs alone."""
    kinds = sid.QuantizedToken | sid.SemanticToken
    layers = [layer for layer in model.submodules if isinstance(layer, kinds)]
    if not layers:
        return {}
    codes, space = _codes_of(layers[0], tf.constant(world.embeddings))
    alone = [1 - sid.colliding_rate(codes[:, :levels]) for levels in range(1, space.num_levels + 1)]
    used = sid.code_usage(codes, space)
    return {"codes": {"used": used, "unique_rate": alone[-1], "unique_by_level": alone}}


def _codes_of(
    layer: sid.QuantizedToken | sid.SemanticToken, content: tf.Tensor
) -> tuple[np.ndarray, sid.CodeSpace]:
    if isinstance(layer, sid.QuantizedToken):
        return layer.codes(content).numpy(), layer.code_space
    return layer.quantizer.encode(content).numpy(), layer.quantizer.code_space
