"""Loops that train models."""

from semid_tf.training.coarse_dropout import CoarseDropout
from semid_tf.training.ranker import fit_ranker, score_examples

__all__ = ["CoarseDropout", "fit_ranker", "score_examples"]
