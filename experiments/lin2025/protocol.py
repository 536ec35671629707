"""Trains one setting and judges it by both protocols, on cold items, by popularity, and by its codes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

import semid_tf as sid
from experiments.lin2025.build import build
from experiments.lin2025.settings import CODE_ROWS, Setting
from experiments.lin2025.world import World, with_validation

_NEGATIVES = 99
_SAMPLED, _FULL = (1, 5, 10), (5, 10, 20)
_FIFTHS = 5


class Trained(NamedTuple):
    """A model, what its training cost, and the best number of epochs of each member."""

    model: sid.SequenceScorer
    cost: dict[str, Any]
    epochs: list[int]


def trained(name: str, setting: Setting, world: World, seed: int) -> Trained:
    """A trained model; epochs and validation among its costs are of its last member."""
    with _measured() as cost:
        fits = [_fitted(name, setting, world, one) for one in _seeds(setting, seed)]
        model = _together([_finished(fit.model, setting, world, seed) for fit in fits])
    best = fits[-1].best
    about = {
        "epochs": len(best.figures),
        "best_epoch": best.best + 1,
        "validation": best.figures[best.best],
    }
    sizes = _sizes(model, fits[0].model, setting, world)
    return Trained(model, cost | sizes | about, [fit.best.best + 1 for fit in fits])


def refitted(name: str, setting: Setting, world: World, seed: int, epochs: list[int]) -> Trained:
    """The same model, trained as many epochs as were best on the validation events too."""
    world, members = with_validation(world), []
    with _measured() as cost:
        for one, count in zip(_seeds(setting, seed), epochs, strict=True):
            member = _started(setting, world, one)
            training = replace(setting.training, seed=one, epochs=count)
            sid.refit_sequential(name, member, world.split.train, training)
            members.append(member)
        model = _together([_finished(member, setting, world, seed) for member in members])
    about = {"epochs": epochs[-1], "best_epoch": epochs[-1]}
    return Trained(model, cost | _sizes(model, members[0], setting, world) | about, epochs)


def _seeds(setting: Setting, seed: int) -> range:
    return range(seed * setting.members, (seed + 1) * setting.members)


class _Fit(NamedTuple):
    model: sid.SequentialModel
    best: sid.BestEpoch


def _fitted(name: str, setting: Setting, world: World, seed: int) -> _Fit:
    model = _started(setting, world, seed)
    training = replace(setting.training, seed=seed)
    return _Fit(model, sid.fit_sequential(name, model, world.split, world.num_items, training))


def _started(setting: Setting, world: World, seed: int) -> sid.SequentialModel:
    tf_keras.utils.set_random_seed(seed)
    return build(setting, world, seed)


def _finished(model: sid.SequentialModel, setting: Setting, world: World, seed: int) -> sid.SequentialModel:
    model.tower.borrow_ids()
    if not setting.code_bytes:
        return model
    return sid.compact_items(model, world.counts, setting.code_bytes, CODE_ROWS, seed)


def _together(members: list[sid.SequentialModel]) -> sid.SequenceScorer:
    return members[0] if len(members) == 1 else sid.SequenceEnsemble(members)


@contextmanager
def _measured() -> Iterator[dict[str, float]]:
    """Seconds of what is done inside, filled in at its end."""
    started, cpu, cost = time.monotonic(), time.process_time(), dict[str, float]()
    yield cost
    cost["train_s"] = round(time.monotonic() - started, 1)
    cost["train_cpu_s"] = round(time.process_time() - cpu, 1)


def _sizes(
    model: sid.SequenceScorer, member: sid.SequentialModel, setting: Setting, world: World
) -> dict[str, int]:
    """Numbers in a model, and how many its training had."""
    return {
        "token_size": setting.token_size(*world.embeddings.shape),
        "parameters": _size(model),
        "trained_parameters": setting.members * _size(member),
    }


def _size(model: sid.SequenceScorer) -> int:
    return sum(int(tf.size(weight)) for weight in _learned(model))


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
    ranks = sid.masked_ranks(model, targets, world.num_items)
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
