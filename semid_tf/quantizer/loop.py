"""The loop of a fit: step by step, from wherever it stands, under any distribution strategy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.quantizer.checkpoints import FitParts
from semid_tf.quantizer.global_batches import GlobalBatches, ReplicaBatches
from semid_tf.quantizer.rqvae import RQVAE, Learned


def run_epochs(
    model: RQVAE, batches: GlobalBatches, parts: FitParts, callbacks: Sequence[tf_keras.callbacks.Callback]
) -> None:
    """Trains a compiled model from `parts.position` to its last epoch, or until it is told to stop."""
    epochs, steps, start = model.config.epochs, batches.steps_per_epoch, parts.position.step
    calls = tf_keras.callbacks.CallbackList(callbacks, model=model, epochs=epochs, steps=steps)
    model.stop_training = False
    calls.on_train_begin()
    shares = ReplicaBatches(lambda: batches.from_step(start), model.embedding_dim)
    learn = _learner(model, shares.element_spec)
    for epoch in range(start // steps, epochs):
        if model.stop_training:
            break
        _run_epoch(epoch, learn, shares, parts, steps, calls)
    shares.close()
    calls.on_train_end()


def _run_epoch(
    epoch: int,
    learn: Callable[[Any], Learned],
    shares: ReplicaBatches,
    parts: FitParts,
    steps: int,
    calls: tf_keras.callbacks.CallbackList,
) -> None:
    position, figures = parts.position, parts.figures
    done = position.step % steps
    if not done:
        figures.clear()
    calls.on_epoch_begin(epoch)
    for batch in range(done, steps):
        calls.on_train_batch_begin(batch)
        learned = learn(next(shares))
        figures.add(learned)
        position.step += 1
        calls.on_train_batch_end(batch, {"loss": learned.loss})
    calls.on_epoch_end(epoch, figures.logs())


def _learner(model: RQVAE, element_spec: Any) -> Callable[[Any], Learned]:
    strategy = tf.distribute.get_strategy()

    @tf.function(input_signature=[element_spec], autograph=False)
    def learn(batch: Any) -> Learned:
        learned = strategy.run(model.learn, args=batch)
        return tf.nest.map_structure(lambda value: strategy.experimental_local_results(value)[0], learned)

    return learn
