"""From content embeddings to codes: the RQ-VAE and residual k-means, their start, training and metrics."""

from semid_tf.quantizer.contrastive import co_occurrence_loss
from semid_tf.quantizer.fit import fit_rqvae
from semid_tf.quantizer.fit_kmeans import fit_residual_kmeans
from semid_tf.quantizer.metrics import code_counts, code_usage, normalized_mse, perplexity, unique_rate
from semid_tf.quantizer.residual import Quantized, ResidualQuantizer
from semid_tf.quantizer.residual_kmeans import ResidualKMeans
from semid_tf.quantizer.rqvae import RQVAE
from semid_tf.quantizer.saved import SavedQuantizer, load_quantizer, save_quantizer
from semid_tf.quantizer.shortcut import LinearPlusMLP

__all__ = [
    "RQVAE",
    "LinearPlusMLP",
    "Quantized",
    "ResidualKMeans",
    "ResidualQuantizer",
    "SavedQuantizer",
    "co_occurrence_loss",
    "code_counts",
    "code_usage",
    "fit_residual_kmeans",
    "fit_rqvae",
    "load_quantizer",
    "normalized_mse",
    "perplexity",
    "save_quantizer",
    "unique_rate",
]
