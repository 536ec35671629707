"""Models that recommend with Semantic IDs."""

from semid_tf.models.history import (
    DINAttention,
    History,
    HistoryAttention,
    HistoryTransformer,
    MeanHistory,
    User,
    View,
)
from semid_tf.models.ranker import Ranker
from semid_tf.models.views import TwoUsers, TwoViews

__all__ = [
    "DINAttention",
    "History",
    "HistoryAttention",
    "HistoryTransformer",
    "MeanHistory",
    "Ranker",
    "TwoUsers",
    "TwoViews",
    "User",
    "View",
]
