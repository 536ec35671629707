"""Trains one setting and judges it by both protocols, on cold items, by popularity, and by its codes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

import semid_tf as sid
from experiments.lin2025.build import build
from experiments.lin2025.settings import Setting
from experiments.lin2025.world import World

_NEGATIVES = 99
_SAMPLED, _FULL = (1, 5, 10), (5, 10, 20)
_FIFTHS = 5


def trained(
    name: str, setting: Setting, world: World, seed: int
) -> tuple[sid.SequenceScorer, dict[str, Any]]:
    """A trained model, and what its training cost; epochs and validation are of its last member."""
    started, cpu = time.monotonic(), time.process_time()
    members = []
    for member in range(setting.members):
        model, best = _member(name, setting, world, seed * setting.members + member)
        members.append(model)
    scorer = members[0] if len(members) == 1 else sid.SequenceEnsemble(members)
    return scorer, {
        "token_size": setting.token_size(*world.embeddings.shape),
        "parameters": sum(int(tf.size(weight)) for weight in _learned(scorer)),
        "train_s": round(time.monotonic() - started, 1),
        "train_cpu_s": round(time.process_time() - cpu, 1),
        "epochs": len(best.figures),
        "best_epoch": best.best + 1,
        "validation": best.figures[best.best],
    }


def _member(
    name: str, setting: Setting, world: World, seed: int
) -> tuple[sid.SequentialModel, sid.BestEpoch]:
    tf_keras.utils.set_random_seed(seed)
    model = build(setting, world, seed)
    training = replace(setting.training, seed=seed)
    best = sid.fit_sequential(name, model, world.split, world.num_items, training)
    model.tower.borrow_ids()
    return model, best


def _learned(model: sid.SequenceScorer) -> list[tf.Variable]:
    """Trainable weights, and codebooks, which moving averages train."""
    books = [layer.codebooks for layer in model.submodules if isinstance(layer, sid.ResidualQuantizer)]
    return [*model.trainable_variables, *books]


def figures(model: sid.SequenceScorer, world: World, seed: int) -> dict[str, Any]:
    """How a model does on the last event of each user."""
    targets = world.split.test
    negatives = sid.draw_unseen(world.sequences, targets.users, world.num_items, _NEGATIVES, seed)
    ranks = sid.next_item_ranks(model, targets, world.num_items, negatives)
    sampled = sid.ranking_figures(ranks.sampled, _SAMPLED)
    return {
        "sampled": {name.replace("recall", "hr"): value for name, value in sampled.items()},
        "full": sid.ranking_figures(ranks.full, _FULL),
        "full_masked": sid.ranking_figures(ranks.full_masked, _FULL),
        "popularity": _by_popularity(ranks.full_masked, world.counts[targets.items - 1]),
        **_codes(model, world),
    }


def cold_figures(model: sid.SequenceScorer, world: World) -> dict[str, float]:
    """How a model ranks held-out items among all items but those of the history."""
    targets = world.cold_targets(world.split.test)
    ranks = sid.next_item_ranks(model, targets, world.num_items).full_masked
    return sid.ranking_figures(ranks, _FULL) | {"targets": len(targets.items)}


def _by_popularity(ranks: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """Recall@10 by fifths of the targets: the first holds those whose items were seen least in training."""
    order = np.argsort(counts, kind="stable")
    fifths = np.array_split(order, _FIFTHS)
    return {f"recall@10 of fifth {i + 1}": float(np.mean(ranks[rows] < 10)) for i, rows in enumerate(fifths)}


def _codes(model: sid.SequenceScorer, world: World) -> dict[str, Any]:
    """Share of the codes in use at each level, and of the items whose codes are theirs alone."""
    layers = [layer for layer in model.submodules if isinstance(layer, sid.QuantizedToken)]
    if not layers:
        return {}
    codes = layers[0].codes(tf.constant(world.embeddings)).numpy()
    used = sid.code_usage(codes, layers[0].code_space)
    return {"codes": {"used": used, "unique_rate": sid.unique_rate(codes)}}
