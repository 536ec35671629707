"""How well a model ranks, over all items and over cold ones."""

from semid_tf.evaluation.auc import Interval, auc, bootstrap_auc
from semid_tf.evaluation.next_item import NextItemRanks, draw_unseen, masked_ranks, next_item_ranks
from semid_tf.evaluation.ranking import ranking_figures, ranks_of
from semid_tf.evaluation.slices import auc_by_decile, auc_by_slice

__all__ = [
    "Interval",
    "NextItemRanks",
    "auc",
    "auc_by_decile",
    "auc_by_slice",
    "bootstrap_auc",
    "draw_unseen",
    "masked_ranks",
    "next_item_ranks",
    "ranking_figures",
    "ranks_of",
]
