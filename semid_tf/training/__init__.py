"""Loops that train models."""

from semid_tf.training.ranker import fit_ranker, score_examples
from semid_tf.training.resampling import ResampledPieces

__all__ = ["ResampledPieces", "fit_ranker", "score_examples"]
