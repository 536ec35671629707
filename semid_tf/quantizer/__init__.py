"""From content embeddings to codes: the RQ-VAE, its start, its training and its metrics."""

from semid_tf.quantizer.checkpoints import load_checkpoint
from semid_tf.quantizer.code_figures import CodebookCollapseWarning
from semid_tf.quantizer.fit import fit_rqvae
from semid_tf.quantizer.metrics import code_counts, code_usage, normalized_mse, perplexity, unique_rate
from semid_tf.quantizer.residual import Quantized, ResidualQuantizer
from semid_tf.quantizer.rqvae import RQVAE
from semid_tf.quantizer.saved import SavedQuantizer, load_quantizer, save_quantizer
from semid_tf.quantizer.shortcut import LinearPlusMLP

__all__ = [
    "RQVAE",
    "CodebookCollapseWarning",
    "LinearPlusMLP",
    "Quantized",
    "ResidualQuantizer",
    "SavedQuantizer",
    "code_counts",
    "code_usage",
    "fit_rqvae",
    "load_checkpoint",
    "load_quantizer",
    "normalized_mse",
    "perplexity",
    "save_quantizer",
    "unique_rate",
]
