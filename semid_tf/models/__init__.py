"""Models that recommend with Semantic IDs."""

from semid_tf.models.ranker import Ranker

__all__ = ["Ranker"]
