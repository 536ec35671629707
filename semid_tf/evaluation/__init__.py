"""How well a model ranks, over all items and over cold ones."""

from semid_tf.evaluation.auc import Interval, auc, bootstrap_auc
from semid_tf.evaluation.slices import auc_by_decile, auc_by_slice

__all__ = ["Interval", "auc", "auc_by_decile", "auc_by_slice", "bootstrap_auc"]
