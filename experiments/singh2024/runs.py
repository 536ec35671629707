"""Trains and measures one ranker."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

import semid_tf as sid
from experiments.figures import Figures, nan_as_none
from experiments.singh2024.settings import Run, Settings
from experiments.singh2024.world import World
from semid_tf.evaluation import auc_by_decile, auc_by_slice
from semid_tf.methods import Catalogue, fit_method, lookups, num_rows


class Runner:
    """Carries out runs over one world; what they share is made once.

    Args:
        world: data and codes.
        settings: of the experiment.
    """

    def __init__(self, world: World, settings: Settings) -> None:
        self.world, self.settings = world, settings
        self._catalogues: dict[tuple[str, int], Catalogue] = {}
        self._unigrams: dict[tuple[int, bool], sid.Ranker] = {}
        self._splits = {True: world.splits, False: _without_history(world.splits)}

    def figures(self, run: Run) -> Figures:
        """AUCs with intervals, look-ups an item, rows got, and what it cost."""
        config = dataclasses.replace(self.settings.ranker, seed=run.seed)
        catalogue = dataclasses.replace(self._catalogue(run.codes, run.table_rows), seed=run.seed)
        started, splits = time.perf_counter(), self._splits[run.history]
        base = self._unigrams.get((run.seed, run.history)) if run.codes == "all" else None
        ranker = fit_method(run.method, catalogue, config, splits.train, base)
        if run.method == "unigram" and run.codes == "all":
            self._unigrams[run.seed, run.history] = ranker
        scores = sid.score_examples(ranker, splits.test)
        parameters = int(sum(np.prod(weight.shape) for weight in ranker.trainable_variables))
        cost = {"parameters": parameters, "train_s": round(time.perf_counter() - started, 1)}
        return _auc_figures(scores, splits, self.settings.evaluation) | self._lookups(ranker) | cost

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
    deciles = [found.value for found in auc_by_decile(scores, splits, config)]
    return nan_as_none(auc_by_slice(scores, splits, config) | {"auc_by_decile": deciles})


def _without_history(splits: sid.Splits) -> sid.Splits:
    """The same examples of users of whom nothing is known."""
    parts = {name: getattr(splits, name) for name in ("train", "validation", "test")}
    blank = {
        name: dataclasses.replace(part, history=np.zeros((len(part), 1), np.int32))
        for name, part in parts.items()
    }
    return dataclasses.replace(splits, **blank)
