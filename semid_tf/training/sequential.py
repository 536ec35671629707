"""Trains a sequence model, keeps the epoch that foretells best, and goes on where it was stopped."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.config import SequenceTraining
from semid_tf.data import LeaveOneOut, PackedRows, Sequences, Targets, packed
from semid_tf.errors import ConfigError, DataError
from semid_tf.models import SequentialModel
from semid_tf.progress import FiniteLoss, ProgressBar
from semid_tf.training.best_epoch import BestEpoch
from semid_tf.training.epoch_checkpoints import EpochCheckpoints, Judged, Unjudged


def fit_sequential(
    title: str,
    model: SequentialModel,
    split: LeaveOneOut,
    num_items: int,
    config: SequenceTraining,
    checkpoints: str | Path | None = None,
    callbacks: Sequence[tf_keras.callbacks.Callback] = (),
) -> BestEpoch:
    """Trains a model from where it stands.

    After each epoch it ranks validation targets among all items not in their history; the weights with
    the best NDCG@10 (see `config.judged_among`) are kept, and training stops after `config.patience` epochs
    without a better one.

    Args:
        title: of the progress bar.
        model: to train; see `SequentialModel`.
        split: of the sequences.
        num_items: of the catalogue.
        config: see `SequenceTraining`.
        checkpoints: folder for a checkpoint after each epoch. A fit of the same settings and data that finds
            one there goes on from it, and ends with the weights, bit for bit, of one that was never stopped.
        callbacks: called after the fit's own.

    Raises:
        ConfigError: `config` and `model` look at histories of another length.
        DataError: nothing to learn from, or to judge epochs by.
        TrainingError: the loss is no longer finite.
        ProvenanceError: the checkpoint is of other settings or data.
    """
    batches = EpochBatches(split.train, config)
    best = BestEpoch(_some(split.validation, config), num_items, config.patience, config.judged_among)
    _prepare(model, batches)
    origin = (config, num_items, *split.train, *_parts(split.validation))
    savers, first = _resumed(checkpoints, model, best, origin)
    if not best.settled:
        bar = ProgressBar(title, config.epochs, best.shown, first * batches.steps_per_epoch)
        _train(model, batches, [FiniteLoss(), best, *savers, bar, *callbacks], first)
    best.restore_best(model)
    return best


def refit_sequential(
    title: str,
    model: SequentialModel,
    sequences: Sequences,
    config: SequenceTraining,
    checkpoints: str | Path | None = None,
    callbacks: Sequence[tf_keras.callbacks.Callback] = (),
) -> None:
    """Trains a fresh model on all sequences, those of validation among them, for a number of epochs.

    For the model that serves: `fit_sequential` first says how many epochs are best, and this fit also
    learns from the latest events, which it was judged by.

    Args:
        title: of the progress bar.
        model: to train, as `fit_sequential` was given one.
        sequences: for a test by the last event `split.test.histories`, else all.
        config: as for `fit_sequential`, its `epochs` the best one's; no `patience` is needed.
        checkpoints, callbacks: see `fit_sequential`.

    Raises:
        ConfigError, DataError, TrainingError, ProvenanceError: see `fit_sequential`.
    """
    batches = EpochBatches(sequences, config)
    _prepare(model, batches)
    savers, first = _resumed(checkpoints, model, Unjudged(), (config, *sequences))
    bar = ProgressBar(title, config.epochs, dict, first * batches.steps_per_epoch)
    _train(model, batches, [FiniteLoss(), *savers, bar, *callbacks], first)


def _parts(targets: Targets) -> tuple[np.ndarray, ...]:
    return (targets.users, *targets.histories, targets.items)


def _prepare(model: SequentialModel, batches: EpochBatches) -> None:
    if (length := batches.config.max_length) != model.max_length:
        raise ConfigError(
            f"max_length is {length} in training and {model.max_length} in the backbone; both must agree."
        )
    model.compile(_optimizer(batches.config, batches.steps_per_epoch))
    model.optimizer.build(model.trainable_variables)


def _resumed(
    checkpoints: str | Path | None, model: SequentialModel, judged: Judged, origin: tuple[Any, ...]
) -> tuple[list[EpochCheckpoints], int]:
    """What writes checkpoints, if they are wanted, and how many epochs the latest one has behind it."""
    if checkpoints is None:
        return [], 0
    saver = EpochCheckpoints(checkpoints, model, judged, origin)
    return [saver], saver.restore()


def _train(
    model: SequentialModel,
    batches: EpochBatches,
    callbacks: Sequence[tf_keras.callbacks.Callback],
    first_epoch: int,
) -> None:
    model.fit(
        batches.dataset(first_epoch),
        epochs=batches.config.epochs,
        initial_epoch=first_epoch,
        steps_per_epoch=batches.steps_per_epoch,
        verbose=0,
        callbacks=callbacks,
    )


class EpochBatches:
    """Packed batches of training sequences; every epoch has an order of its own, the same for the same seed.

    Attributes:
        steps_per_epoch: the same for each.

    Raises:
        DataError: nobody has two events, of which the first foretells the second.
    """

    def __init__(self, sequences: Sequences, config: SequenceTraining) -> None:
        self.sequences, self.config = sequences, config
        self.steps_per_epoch = -(-len(self._rows(0).items) // config.batch_rows)
        if not self.steps_per_epoch:
            raise DataError(
                "no user has two training events to learn from; of a split's users some needs four in all."
            )

    def _rows(self, epoch: int) -> PackedRows:
        random = np.random.default_rng([self.config.seed, epoch])
        return packed(self.sequences, self.config.max_length, self.config.row_length, random)

    def dataset(self, first_epoch: int) -> tf.data.Dataset:
        """Batches as `SequentialModel` takes them, epoch after epoch without end."""
        spec = tf.TensorSpec((None, self.config.row_length), tf.int32)
        signature = {name: spec for name in PackedRows._fields}
        return tf.data.Dataset.from_generator(
            lambda: self._batches(first_epoch), output_signature=signature
        ).prefetch(2)

    def _batches(self, first_epoch: int) -> Iterator[dict[str, np.ndarray]]:
        for epoch in itertools.count(first_epoch):
            for batch in self._rows(epoch).batches(self.steps_per_epoch):
                yield batch._asdict()


def _some(targets: Targets, config: SequenceTraining) -> Targets:
    count = min(config.validation_users, len(targets.items))
    return targets.take(np.random.default_rng(config.seed).permutation(len(targets.items))[:count])


def _optimizer(config: SequenceTraining, steps_per_epoch: int) -> tf_keras.optimizers.Optimizer:
    rate: Any = config.learning_rate
    if config.decay:
        steps, rising = steps_per_epoch * config.epochs, min(config.warm_up_steps, steps_per_epoch)
        rate = tf_keras.optimizers.schedules.CosineDecay(
            0.0, steps - rising, warmup_target=rate, warmup_steps=rising
        )
    return tf_keras.optimizers.Adam(rate)
