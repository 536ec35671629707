"""Judges every epoch by what it foretells, keeps the best, and stops when nothing gets better."""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras

from semid_tf.data import Targets
from semid_tf.errors import DataError
from semid_tf.evaluation.next_item import masked_ranks
from semid_tf.evaluation.ranking import expected_among, ranking_figures
from semid_tf.models import SequentialModel

_CUTOFF = 10


class BestEpoch(tf_keras.callbacks.Callback):
    """Ranks validation targets after each epoch, among all items not in their history.

    Args:
        targets: of validation.
        num_items: of the catalogue.
        patience: see `SequenceTraining`.
        among: judges by the NDCG@10 to be expected among so many others; 0 = among all.

    Raises:
        DataError: there are no targets.

    Attributes:
        figures: of each epoch so far: recall@10, ndcg@10, mrr, and those among others.
        weights: of the best epoch.
    """

    def __init__(self, targets: Targets, num_items: int, patience: int, among: int = 0) -> None:
        super().__init__()
        if not len(targets.items):
            raise DataError("validation has no targets to judge epochs by; some user needs three events.")
        self.targets, self.num_items, self.patience = targets, num_items, patience
        self.among = min(among, num_items - 1)
        self._figure = f"ndcg@{_CUTOFF} among {self.among}" if among else f"ndcg@{_CUTOFF}"
        self.figures: list[dict[str, float]] = []
        self.weights: list[np.ndarray] = []

    @property
    def best(self) -> int:
        """The best epoch, from 0; the first of equals."""
        return int(np.argmax([figures[self._figure] for figures in self.figures]))

    @property
    def settled(self) -> bool:
        """Whether no epoch of the last `patience` was the best."""
        return bool(self.figures) and len(self.figures) - 1 - self.best >= self.patience

    def shown(self) -> dict[str, str]:
        """The latest figures, for a progress bar."""
        return {name: f"{value:.4f}" for name, value in self.figures[-1].items()} if self.figures else {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        ranks = masked_ranks(self.model, self.targets, self.num_items)
        expected = expected_among(ranks, self.num_items - 1, self.among, _CUTOFF) if self.among else {}
        self.figures.append(ranking_figures(ranks, [_CUTOFF]) | expected)
        if self.best == len(self.figures) - 1:
            self.weights = self.model.get_weights()
        self.model.stop_training = self.settled

    def restore_best(self, model: SequentialModel) -> None:
        """Gives the model the weights of the best epoch."""
        model.set_weights(self.weights)
