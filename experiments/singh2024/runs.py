"""Trains and measures one ranker."""

from __future__ import annotations

import dataclasses
import time
from typing import NamedTuple

import numpy as np

import semid_tf as sid
from experiments.figures import Figures, nan_as_none
from experiments.singh2024.settings import LONGER, Run, Settings
from experiments.singh2024.world import World
from semid_tf.evaluation import auc_by_decile, auc_by_slice
from semid_tf.methods import BASE, ON_TOP, Catalogue, fit_method, lookups, num_rows
from semid_tf.training import OWN_EPOCHS


class Fit(NamedTuple):
    """A trained ranker and the seconds that it took."""

    ranker: sid.Ranker
    seconds: float


class Runner:
    """Carries out runs over one world; what they share is made once.

    Args:
        world: data and codes.
        settings: of the experiment.
    """

    def __init__(self, world: World, settings: Settings) -> None:
        self.world, self.settings = world, settings
        self._catalogues: dict[tuple[str, int], Catalogue] = {}
        self._bases: dict[tuple[int, bool], Fit] = {}
        self._splits = {True: world.splits, False: _without_history(world.splits)}

    def figures(self, run: Run) -> Figures:
        """AUCs with intervals, look-ups an item, rows got, and what it cost, from its first step on."""
        splits, (ranker, seconds) = self._splits[run.history], self._fit_of(run)
        scores = sid.score_examples(ranker, splits.test)
        parameters = int(sum(np.prod(weight.shape) for weight in ranker.trainable_variables))
        cost = {"parameters": parameters, "train_s": round(seconds, 1)}
        return _auc_figures(scores, splits, self.settings.evaluation) | self._lookups(ranker) | cost

    def _fit_of(self, run: Run) -> Fit:
        """The base of several methods is trained once, and its seconds are theirs too."""
        if run.codes != "all" or run.method not in (BASE, *ON_TOP):
            return self._fit(run)
        key = run.seed, run.history
        if key not in self._bases:
            self._bases[key] = self._fit(dataclasses.replace(run, method=BASE))
        return self._bases[key] if run.method == BASE else self._fit(run, self._bases[key])

    def _fit(self, run: Run, base: Fit | None = None) -> Fit:
        config = dataclasses.replace(self.settings.ranker, seed=run.seed)
        method = run.method
        if method == LONGER:
            method, config = BASE, dataclasses.replace(config, epochs=config.epochs + OWN_EPOCHS)
        catalogue = dataclasses.replace(self._catalogue(run.codes, run.table_rows), seed=run.seed)
        started, train = time.perf_counter(), self._splits[run.history].train
        ranker = fit_method(method, catalogue, config, train, base and base.ranker)
        return Fit(ranker, time.perf_counter() - started + (base.seconds if base else 0))

    def _catalogue(self, codes: str, rows: int) -> Catalogue:
        if (codes, rows) not in self._catalogues:
            self._catalogues[codes, rows] = self._new_catalogue(self.world.codes[codes], rows)
        return self._catalogues[codes, rows]

    def _new_catalogue(self, codes: np.ndarray, rows: int) -> Catalogue:
        items, counts = self.world.items, self.world.splits.item_counts
        pieces = sid.train_sentencepiece(codes, counts, self.settings.quantizer.code_space, rows)
        return Catalogue(
            items.item_ids,
            items.embeddings,
            codes,
            sid.PiecesAndCodes(pieces),
            counts,
            rows,
            seed=0,
        )

    def _lookups(self, ranker: sid.Ranker) -> Figures:
        """Rows of the item tables, and how many of them an item needs: over items and over interactions."""
        rows = num_rows(ranker)
        if not rows:
            return {"rows": 0}
        used = lookups(ranker)
        return {
            "rows": rows,
            "lookups_per_item": float(used.mean()),
            "lookups_per_interaction": float(np.average(used, weights=self.world.splits.item_counts)),
        }


def _auc_figures(scores: np.ndarray, splits: sid.Splits, config: sid.EvaluationConfig) -> Figures:
    value, low, high = map(list, zip(*auc_by_decile(scores, splits, config), strict=True))
    deciles = {"auc_by_decile": value, "auc_by_decile_low": low, "auc_by_decile_high": high}
    return nan_as_none(auc_by_slice(scores, splits, config) | deciles)


def _without_history(splits: sid.Splits) -> sid.Splits:
    """The same examples of users of whom nothing is known."""
    parts = {name: getattr(splits, name) for name in ("train", "validation", "test")}
    blank = {
        name: dataclasses.replace(part, history=np.zeros((len(part), 1), np.int32))
        for name, part in parts.items()
    }
    return dataclasses.replace(splits, **blank)
