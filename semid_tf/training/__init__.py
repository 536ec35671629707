"""Loops that train models."""

from semid_tf.training.best_epoch import BestEpoch
from semid_tf.training.coarse_dropout import CoarseDropout
from semid_tf.training.ranker import fit_ranker, score_examples
from semid_tf.training.sequential import fit_sequential

__all__ = ["BestEpoch", "CoarseDropout", "fit_ranker", "fit_sequential", "score_examples"]
