"""Models that recommend with Semantic IDs."""

from semid_tf.models.backbone import Backbone, Places
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
from semid_tf.models.mixers import FrequencyMixer, GatedAttention, SelfAttention
from semid_tf.models.next_items import NextItems, TopItems
from semid_tf.models.ranker import Ranker
from semid_tf.models.sequence_ensemble import SequenceEnsemble
from semid_tf.models.sequence_losses import BinaryCrossEntropy, FullSoftmax, SampledSoftmax, SequenceLoss
from semid_tf.models.sequence_scorer import SequenceScorer
from semid_tf.models.sequential import SequentialModel
from semid_tf.models.tasks import CLICK, Task
from semid_tf.models.views import TwoUsers, TwoViews

__all__ = [
    "CLICK",
    "Backbone",
    "BinaryCrossEntropy",
    "ContextFeatures",
    "DINAttention",
    "FrequencyMixer",
    "FullSoftmax",
    "GatedAttention",
    "History",
    "HistoryAttention",
    "HistoryTransformer",
    "MeanHistory",
    "NextItems",
    "Places",
    "Ranker",
    "SampledSoftmax",
    "SelfAttention",
    "SequenceEnsemble",
    "SequenceLoss",
    "SequenceScorer",
    "SequentialModel",
    "Task",
    "TopItems",
    "TwoUsers",
    "TwoViews",
    "User",
    "View",
]
