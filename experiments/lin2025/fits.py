"""Trains one setting, and says what that cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import tf_keras

import semid_tf as sid
from experiments.figures import Figures
from experiments.lin2025.build import build
from experiments.lin2025.settings import CODE_ROWS, Setting
from experiments.lin2025.sizes import num_parameters
from experiments.lin2025.world import World, with_validation


class Trained(NamedTuple):
    """A model and what its training cost."""

    model: sid.SequenceScorer
    cost: Figures


def trained(name: str, setting: Setting, world: World, seed: int) -> Trained:
    """A trained model; epochs and validation among its costs are of its last member."""
    with _measured() as cost:
        fits = [_fitted(name, setting, world, one) for one in _seeds(setting, seed)]
        model = _together([_finished(fit.model, setting, world, seed) for fit in fits])
    best = fits[-1].best
    about = {
        "epochs": len(best.figures),
        "best_epoch": best.best + 1,
        "best_epochs": [fit.best.best + 1 for fit in fits],
        "validation": best.figures[best.best],
    }
    return Trained(model, cost | _sizes(model, fits[0].model, setting, world) | about)


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
    about = {"epochs": epochs[-1], "best_epoch": epochs[-1], "best_epochs": epochs}
    return Trained(model, cost | _sizes(model, members[0], setting, world) | about)


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
def _measured() -> Iterator[Figures]:
    """Seconds of what is done inside, filled in at its end."""
    started, cpu, cost = time.monotonic(), time.process_time(), Figures()
    yield cost
    cost["train_s"] = round(time.monotonic() - started, 1)
    cost["train_cpu_s"] = round(time.process_time() - cpu, 1)


def _sizes(
    model: sid.SequenceScorer, member: sid.SequentialModel, setting: Setting, world: World
) -> dict[str, int]:
    """Numbers in a model, and how many its training had."""
    return {
        "token_size": setting.token_size(*world.embeddings.shape),
        "parameters": num_parameters(model),
        "trained_parameters": setting.members * num_parameters(member),
    }
