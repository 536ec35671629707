"""Noise and dropout against learning the items by heart: the fewer there are, the more."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import tensorflow as tf

from semid_tf.config import RQVAEConfig
from semid_tf.quantizer.replicas import as_in_whole_batch

#: Dimensions of a latent space above which a fit goes about its hidden layers otherwise.
MANY_AXES = 128
_FEW_ITEMS = 12_000
_LEAST_DROPOUT = 0.1


class Disturbance(NamedTuple):
    """What a training step does to its batch.

    Attributes:
        noise: of standardised embeddings, float32 [n, dim]: what the encoder sees of them.
        drop: of the decoder's hidden layer, float32 [n, width]: what its output layer sees of it.
    """

    noise: Callable[[tf.Tensor], tf.Tensor]
    drop: Callable[[tf.Tensor], tf.Tensor]

    @classmethod
    def of(
        cls, noise: tf.Variable, dropout: float, noise_seed: tf.Tensor, drop_seed: tf.Tensor
    ) -> Disturbance:
        """Gaussian noise of a standard deviation, and dropout at a rate; alike for any shares of a batch."""

        def noised(inputs: tf.Tensor) -> tf.Tensor:
            return inputs + noise * tf.random.stateless_normal(tf.shape(inputs), noise_seed)

        def dropped(hidden: tf.Tensor) -> tf.Tensor:
            return tf.nn.experimental.stateless_dropout(hidden, dropout, drop_seed)

        drop = partial(as_in_whole_batch, dropped) if dropout else tf.identity
        return cls(partial(as_in_whole_batch, noised), drop)


CLEAN = Disturbance(tf.identity, tf.identity)


def noise_for(config: RQVAEConfig, num_items: int, start_error: float) -> float:
    """Standard deviation of the noise: `input_noise` times the error of the start, less with many items.

    Its variance falls as 1 / items from 12,000 items on, as that of what is learnt from them does.

    Args:
        config: settings.
        num_items: that are trained on.
        start_error: root of the normalised MSE.
    """
    return config.input_noise * start_error * min(1.0, _FEW_ITEMS / num_items) ** 0.5


def dropout_for(config: RQVAEConfig, num_items: int, latent_dim: int) -> float:
    """Rate of dropout: `hidden_dropout`, less with many items; none where it would be below .1.

    It falls as 1 / items from 12,000 items on. In a latent space of at most 128 dimensions it falls evenly,
    from 6,000 items to none at 18,000: there it costs more codes of their own than it spares error.
    """
    left = min(1.0, _FEW_ITEMS / num_items)
    if latent_dim <= MANY_AXES:
        left = min(1.0, max(0.0, 1.5 - num_items / _FEW_ITEMS))
    rate = config.hidden_dropout * left
    return rate if rate >= _LEAST_DROPOUT else 0.0
