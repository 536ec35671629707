"""Models that recommend with Semantic IDs."""

from semid_tf.models.context import ContextFeatures
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
from semid_tf.models.tasks import Task
from semid_tf.models.views import TwoUsers, TwoViews

__all__ = [
    "ContextFeatures",
    "DINAttention",
    "History",
    "HistoryAttention",
    "HistoryTransformer",
    "MeanHistory",
    "Ranker",
    "Task",
    "TwoUsers",
    "TwoViews",
    "User",
    "View",
]
