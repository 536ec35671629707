"""Loops that train models."""

from semid_tf.training.best_epoch import BestEpoch
from semid_tf.training.compact import compact_items
from semid_tf.training.extended import extended_ranker
from semid_tf.training.own_parts import OWN_EPOCHS, fit_own_parts, train_with_own_parts, with_own_parts
from semid_tf.training.parameter_servers import batches_of_workers, gathered_ranker
from semid_tf.training.ranker import fit_ranker, score_examples, train_ranker
from semid_tf.training.rowwise_adagrad import RowwiseAdagrad
from semid_tf.training.sequential import fit_sequential, refit_sequential

__all__ = [
    "OWN_EPOCHS",
    "BestEpoch",
    "RowwiseAdagrad",
    "batches_of_workers",
    "compact_items",
    "extended_ranker",
    "fit_own_parts",
    "fit_ranker",
    "fit_sequential",
    "gathered_ranker",
    "refit_sequential",
    "score_examples",
    "train_ranker",
    "train_with_own_parts",
    "with_own_parts",
]
