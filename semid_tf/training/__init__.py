"""Loops that train models."""

from semid_tf.training.ranker import fit_ranker, score_examples

__all__ = ["fit_ranker", "score_examples"]
