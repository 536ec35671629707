"""Trains a ranker and scores examples with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.config import RankerConfig
from semid_tf.data import Examples, scoring_batches, training_batches
from semid_tf.errors import DataError
from semid_tf.layers import CatalogueEmbedding
from semid_tf.models import CLICK, History, Ranker, Task
from semid_tf.progress import FiniteLoss, ProgressBar
from semid_tf.training.parameter_servers import FiniteEpochs, batches_of_workers, on_parameter_servers

_SCORING_BATCH = 2048


def fit_ranker(
    title: str,
    item_embedding: CatalogueEmbedding,
    train: Examples,
    config: RankerConfig,
    callbacks: Sequence[tf_keras.callbacks.Callback] = (),
    attention: History | None = None,
    context: tf_keras.layers.Layer | None = None,
    tasks: Sequence[Task] = (CLICK,),
) -> Ranker:
    """Trains a ranker from scratch.

    Args:
        title: of the progress bar.
        item_embedding: turns item indices into vectors.
        train: the examples.
        config: see `RankerConfig`.
        callbacks: called beside its own.
        attention, context, tasks: of the ranker, see `Ranker`.

    Raises:
        DataError, TrainingError: see `train_ranker`.
    """
    tf_keras.utils.set_random_seed(config.seed)
    ranker = Ranker(config, item_embedding, attention, context, tasks)
    return train_ranker(title, ranker, train, config, callbacks)


def train_ranker(
    title: str,
    ranker: Ranker,
    train: Examples,
    config: RankerConfig,
    callbacks: Sequence[tf_keras.callbacks.Callback] = (),
    optimizer: tf_keras.optimizers.Optimizer | None = None,
) -> Ranker:
    """Trains a ranker in place, from the weights that it has.

    Under the scope of a `tf.distribute.ParameterServerStrategy`, the ranker made there too, tables are
    sharded as its `variable_partitioner` says, and the workers share an epoch's steps. They take the steps
    when they can, so that a result repeats with one worker only.

    Args:
        title: of the progress bar.
        ranker: what is frozen stays as it is.
        train: the examples.
        config: epochs, batch size, learning rate and seed of this training.
        callbacks: called beside its own.
        optimizer: such as `RowwiseAdagrad` for big tables; None = Adam, its rate falling as a cosine.

    Raises:
        DataError: an example cannot be used, see `Examples.check`, or the context that the ranker takes is
            missing.
        TrainingError: the loss is no longer finite.
    """
    train.check(ranker.item_embedding.num_items, [task.kind for task in ranker.tasks])
    _require_context(ranker, train)
    steps = -(-len(train) // config.batch_size)
    rate = tf_keras.optimizers.schedules.CosineDecay(config.learning_rate, steps * config.epochs)
    ranker.compile(optimizer or tf_keras.optimizers.Adam(rate))

    def batches(worker: int = 0) -> tf.data.Dataset:
        return training_batches(train, config.batch_size, config.seed + worker)

    if on_parameter_servers():
        always, options = [FiniteEpochs()], {"x": batches_of_workers(batches), "steps_per_epoch": steps}
    else:
        always, options = [FiniteLoss(), ProgressBar(title, config.epochs)], {"x": batches()}
    ranker.fit(**options, epochs=config.epochs, verbose=0, callbacks=[*callbacks, *always])
    return ranker


def score_examples(ranker: Ranker, examples: Examples) -> np.ndarray:
    """Logits of all candidates, by the ranker's first task: float32 [n, c].

    Raises:
        DataError: the context that the ranker takes is missing.
    """
    _require_context(ranker, examples)
    score = tf.function(ranker)
    return np.concatenate([score(batch).numpy() for batch in scoring_batches(examples, _SCORING_BATCH)])


def _require_context(ranker: Ranker, examples: Examples) -> None:
    if ranker.context and not examples.context:
        raise DataError("the ranker takes a context, but the examples have none; give Examples(context=...).")
