"""Models that recommend with Semantic IDs."""

from semid_tf.models.history import HistoryAttention, User
from semid_tf.models.ranker import Ranker

__all__ = ["HistoryAttention", "Ranker", "User"]
