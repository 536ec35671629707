"""From content embeddings to codes: the RQ-VAE and residual k-means, their start, training and metrics."""

from semid_tf.quantizer.checkpoints import load_checkpoint
from semid_tf.quantizer.code_metrics import CodePerplexity, CodesUsed
from semid_tf.quantizer.collapse import CodebookCollapseWarning, collapse_warnings
from semid_tf.quantizer.contrastive import co_occurrence_loss
from semid_tf.quantizer.fit import fit_rqvae
from semid_tf.quantizer.fit_kmeans import fit_residual_kmeans
from semid_tf.quantizer.id_metrics import ItemsPerID, UniqueRate
from semid_tf.quantizer.keep_best import DivergenceWarning
from semid_tf.quantizer.metrics import (
    code_counts,
    code_usage,
    colliding_rate,
    gini,
    items_per_id,
    normalized_mse,
    perplexity,
    perplexity_of_counts,
    unique_rate,
)
from semid_tf.quantizer.mse_metric import NormalizedMSE
from semid_tf.quantizer.prefixes import prefix_cosines, subtrie_sizes
from semid_tf.quantizer.quality import Quality, SharedID, quality_of
from semid_tf.quantizer.residual import MeasuredCandidates, Quantized, ResidualQuantizer
from semid_tf.quantizer.residual_kmeans import ResidualKMeans
from semid_tf.quantizer.rqvae import RQVAE
from semid_tf.quantizer.saved import SavedQuantizer, load_quantizer, save_quantizer
from semid_tf.quantizer.shortcut import LinearPlusMLP, LinearThenMLP
from semid_tf.quantizer.stability import prefix_stability

__all__ = [
    "RQVAE",
    "CodePerplexity",
    "CodebookCollapseWarning",
    "CodesUsed",
    "DivergenceWarning",
    "ItemsPerID",
    "LinearPlusMLP",
    "LinearThenMLP",
    "MeasuredCandidates",
    "NormalizedMSE",
    "Quality",
    "Quantized",
    "ResidualKMeans",
    "ResidualQuantizer",
    "SavedQuantizer",
    "SharedID",
    "UniqueRate",
    "co_occurrence_loss",
    "code_counts",
    "code_usage",
    "collapse_warnings",
    "colliding_rate",
    "fit_residual_kmeans",
    "fit_rqvae",
    "gini",
    "items_per_id",
    "load_checkpoint",
    "load_quantizer",
    "normalized_mse",
    "perplexity",
    "perplexity_of_counts",
    "prefix_cosines",
    "prefix_stability",
    "quality_of",
    "save_quantizer",
    "subtrie_sizes",
    "unique_rate",
]
