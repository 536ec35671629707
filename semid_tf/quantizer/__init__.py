"""From content embeddings to codes: the RQ-VAE, its start, its training and its metrics."""

from semid_tf.quantizer.code_metrics import CodePerplexity, CodesUsed
from semid_tf.quantizer.collapse import collapse_warnings
from semid_tf.quantizer.fit import fit_rqvae
from semid_tf.quantizer.id_metrics import ItemsPerID, UniqueRate
from semid_tf.quantizer.metrics import (
    code_counts,
    code_usage,
    colliding_rate,
    gini,
    items_per_id,
    normalized_mse,
    perplexity,
    unique_rate,
)
from semid_tf.quantizer.mse_metric import NormalizedMSE
from semid_tf.quantizer.prefixes import prefix_cosines, subtrie_sizes
from semid_tf.quantizer.quality import Quality, SharedID, quality_of
from semid_tf.quantizer.residual import Quantized, ResidualQuantizer
from semid_tf.quantizer.rqvae import RQVAE
from semid_tf.quantizer.saved import SavedQuantizer, load_quantizer, save_quantizer
from semid_tf.quantizer.shortcut import LinearPlusMLP
from semid_tf.quantizer.stability import prefix_stability

__all__ = [
    "RQVAE",
    "CodePerplexity",
    "CodesUsed",
    "ItemsPerID",
    "LinearPlusMLP",
    "NormalizedMSE",
    "Quality",
    "Quantized",
    "ResidualQuantizer",
    "SavedQuantizer",
    "SharedID",
    "UniqueRate",
    "code_counts",
    "code_usage",
    "collapse_warnings",
    "colliding_rate",
    "fit_rqvae",
    "gini",
    "items_per_id",
    "load_quantizer",
    "normalized_mse",
    "perplexity",
    "prefix_cosines",
    "prefix_stability",
    "quality_of",
    "save_quantizer",
    "subtrie_sizes",
    "unique_rate",
]
