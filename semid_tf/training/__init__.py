"""Loops that train models."""

from semid_tf.training.piece_dropout import PieceDropout
from semid_tf.training.ranker import fit_ranker, score_examples

__all__ = ["PieceDropout", "fit_ranker", "score_examples"]
