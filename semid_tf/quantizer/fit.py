"""Fits an RQ-VAE: a start that is residual k-means in PCA space, then training that must improve on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.artifacts import fingerprint
from semid_tf.config import RQVAEConfig
from semid_tf.data.embedding_source import EmbeddingArrays, EmbeddingSource, WeightedRows
from semid_tf.progress import FiniteLoss, ProgressBar
from semid_tf.quantizer.assignment import EUCLIDEAN
from semid_tf.quantizer.checkpoints import FitCheckpoints, FitParts, Origin, Position
from semid_tf.quantizer.checks import refuse_weights, require_usable
from semid_tf.quantizer.code_figures import EpochFigures
from semid_tf.quantizer.collapse import warn_of_collapse
from semid_tf.quantizer.event_files import EventFiles
from semid_tf.quantizer.global_batches import GlobalBatches
from semid_tf.quantizer.initialization import axes_for, principal_axes_of
from semid_tf.quantizer.keep_best import KeepBest
from semid_tf.quantizer.loop import run_epochs
from semid_tf.quantizer.regularization import MANY_AXES, dropout_for
from semid_tf.quantizer.rqvae import DECODER_DIM, HIDDEN_DIM, RQVAE
from semid_tf.quantizer.start import start
from semid_tf.quantizer.survey import Survey, some_of, survey

_JUDGED_ITEMS = 20_000
_WARM_UP_STEPS = 50
# Gradients are longer (3 to 70 for 64 to 768 dimensions), so that only their direction counts. Adam alone
# lets steps grow with a gradient that grows: errors doubled from step to step on some catalogues.
_GRADIENT_LENGTH = 0.1
_EPOCHS, _MOST_EPOCHS, _LEAST_STEPS = 22, 200, 1800
_FEW_LEVELS, _MANY_ITEMS = 3, 50_000


def fit_rqvae(
    embeddings: np.ndarray | EmbeddingSource,
    weights: np.ndarray | None = None,
    config: RQVAEConfig | None = None,
    *,
    checkpoints: str | Path | None = None,
    checkpoint_steps: int = 0,
    event_files: str | Path | None = None,
    callbacks: Sequence[tf_keras.callbacks.Callback] = (),
) -> RQVAE:
    """Trains an RQ-VAE on content embeddings.

    Starts from weighted PCA over all items and residual k-means on a sample, trains by Adam, and keeps the
    weights of the epoch (the start included) that reconstruct best, so that the result is never worse than
    that start. Gradients are brought to one length, so that a steep place does not throw the weights far
    off. It stops where after half of the epochs none was better than the start, or after a quarter if the
    error is then more than 1.5 times that of the start.

    Under the scope of a `tf.distribute` strategy (mirrored, multi-worker) the replicas share each batch and
    stay equal; the result is that of one replica up to the order of sums. Every worker reads all embeddings.

    Args:
        embeddings: float32 [n, embedding_dim], finite; n at least codebook_size. Or a source larger than
            memory, such as `ParquetEmbeddings`.
        weights: float [n], not negative; None = all alike. Items of weight 0 have no influence. A source
            brings its own.
        config: see `RQVAEConfig`.
        checkpoints: folder for checkpoints at the end of each epoch. A fit of the same settings and
            embeddings that finds one there goes on from it, and ends with the weights, bit for bit, of a fit
            that was never stopped.
        checkpoint_steps: also after so many steps; 0 = at the end of an epoch only.
        event_files: folder for TensorBoard: loss, normalised MSE, use of the codes.
        callbacks: called beside the fit's own, at the end of a step or epoch after its checkpoint.

    Raises:
        DataError: the embeddings cannot be used.
        TrainingError: the loss is no longer finite; names the last good checkpoint.
        ProvenanceError: the checkpoints are of other settings or embeddings.

    Warns:
        CodebookCollapseWarning: for each level that ends with too few codes in use.
        DivergenceWarning: the error has grown while it trained; the weights from before are kept.
    """
    config = config or RQVAEConfig()
    source = _source(embeddings, weights)
    found = _surveyed(source, config)
    config = _settled(config, found)
    model, batches = _compiled(source, found, config)
    parts = FitParts(
        Position(),
        EpochFigures(model.code_space),
        KeepBest(some_of(found.sample, _JUDGED_ITEMS, config.seed)),
    )
    saver = None
    if checkpoints is not None:
        origin = Origin(config, source.embedding_dim, fingerprint(found.fingerprint, source.order))
        saver = FitCheckpoints(checkpoints, model, origin, parts, checkpoint_steps)
    if saver is None or not saver.restore():
        start(model, found)
    own = _own_callbacks(parts, saver, event_files, batches, config)
    run_epochs(model, batches, parts, [*own, *callbacks])
    parts.best.settle(found.sample)
    _warn_if_collapsed(parts, found.sample)
    parts.best.warn_of_divergence()
    return model


def _source(embeddings: np.ndarray | EmbeddingSource, weights: np.ndarray | None) -> EmbeddingSource:
    if not isinstance(embeddings, EmbeddingSource):
        return EmbeddingArrays(embeddings, weights)
    refuse_weights(weights)
    return embeddings


def _surveyed(source: EmbeddingSource, config: RQVAEConfig) -> Survey:
    found = survey(source, config.kmeans_items, config.seed)
    require_usable(found.num_items, found.all_equal, config.code_space)
    return found


def _compiled(source: EmbeddingSource, found: Survey, config: RQVAEConfig) -> tuple[RQVAE, GlobalBatches]:
    tf.random.set_seed(config.seed)
    scale = found.num_items / found.moments.weight
    batches = GlobalBatches(source, found.num_items, scale, config.batch_size, config.seed)
    model = RQVAE(source.embedding_dim, config)
    model.hidden_dropout = dropout_for(config, found.num_items, model.latent_dim)
    rate = _schedule(batches.steps_per_epoch, config)
    model.compile(tf_keras.optimizers.Adam(rate, global_clipnorm=_GRADIENT_LENGTH))
    model.optimizer.build(model.trainable_variables)
    return model, batches


def _schedule(steps_per_epoch: int, config: RQVAEConfig) -> tf_keras.optimizers.schedules.CosineDecay:
    steps = steps_per_epoch * config.epochs
    rising = min(_WARM_UP_STEPS, steps // 2)
    return tf_keras.optimizers.schedules.CosineDecay(
        0.0, steps - rising, warmup_target=config.learning_rate, warmup_steps=rising
    )


def start_rqvae(
    embeddings: np.ndarray | EmbeddingSource, weights: np.ndarray | None, config: RQVAEConfig
) -> RQVAE:
    """An RQ-VAE that is residual k-means in PCA space: what `fit_rqvae` starts from."""
    source = _source(embeddings, weights)
    found = _surveyed(source, config)
    model = RQVAE(source.embedding_dim, _settled(config, found))
    start(model, found)
    return model


def _settled(config: RQVAEConfig, found: Survey) -> RQVAEConfig:
    """The settings with what is left to the data."""
    dim = config.latent_dim or axes_for(principal_axes_of(found.moments).variances, config.code_space)
    steps = -(-found.num_items // config.batch_size)
    epochs = config.epochs or min(_MOST_EPOCHS, max(_EPOCHS, -(-_LEAST_STEPS // steps)))
    hidden, of_decoder = _hidden_widths(dim)
    return dataclasses.replace(
        config,
        latent_dim=dim,
        hidden_dim=config.hidden_dim or hidden,
        decoder_dim=config.decoder_dim or of_decoder,
        training_beam_width=config.training_beam_width or _training_beam_width(config, found.num_items),
        epochs=epochs,
    )


def _training_beam_width(config: RQVAEConfig, num_items: int) -> int:
    """A beam of 2: what has learnt from its codes leaves less error of greedy codes too.

    With few levels of many items it gains a half percent for a fifth of the time, so there they learn
    greedily; and so do progressive levels, of which the first must do without the others.
    """
    few_levels = config.num_levels <= _FEW_LEVELS and config.beam_width <= 1
    greedy = few_levels and num_items >= _MANY_ITEMS
    return 1 if greedy or config.progressive_levels or config.assignment != EUCLIDEAN else 2


def _hidden_widths(latent_dim: int) -> tuple[int, int]:
    """Of the hidden layers of encoder and decoder.

    With a latent space of many axes half the encoder's gives as good codes, twice the decoder's better ones.
    """
    if latent_dim <= MANY_AXES:
        return HIDDEN_DIM, DECODER_DIM
    return HIDDEN_DIM // 2, 2 * DECODER_DIM


def _own_callbacks(
    parts: FitParts,
    saver: FitCheckpoints | None,
    event_files: str | Path | None,
    batches: GlobalBatches,
    config: RQVAEConfig,
) -> list[tf_keras.callbacks.Callback]:
    """In the order in which they must be called: what is judged is written, what is written is saved."""
    bar = ProgressBar("train RQ-VAE", config.epochs, parts.figures.live, parts.position.step)
    last_good = FiniteLoss() if saver is None else FiniteLoss(lambda: saver.latest)
    events = [] if event_files is None else [EventFiles(event_files, parts.figures)]
    return [last_good, parts.best, *events, *([] if saver is None else [saver]), bar]


def _warn_if_collapsed(parts: FitParts, sample: WeightedRows) -> None:
    """Of the result, or else of what training made of it before the best epoch was taken."""
    best, last, space = parts.best, parts.figures, parts.figures.code_space
    if not warn_of_collapse("", best.code_counts(sample), sample.embeddings, space):
        when = f"epoch {best.best_epoch} is kept because in the last one "
        warn_of_collapse(when, last.counts, sample.embeddings, space)
