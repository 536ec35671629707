"""What a sequence model learns from: the next item against all others, some others, or one other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.errors import ConfigError
from semid_tf.layers.counted_seed import CountedSeed

_NEVER = -1e9


class Candidates(NamedTuple):
    """Items, int32 [m], and their vectors, float32 [m, dim]."""

    items: tf.Tensor
    vectors: tf.Tensor


class SequenceLoss(tf_keras.layers.Layer):
    """Base: names the items that it needs besides the targets, then judges."""

    def others(self, targets: tf.Tensor) -> tf.Tensor:
        """Items to tell from the targets, int32 [m] for targets int32 [n]; drawn anew at each call."""
        raise NotImplementedError

    def call(self, hidden: tf.Tensor, target: Candidates, other: Candidates) -> tf.Tensor:
        """The mean loss, float32 [].

        Args:
            hidden: float32 [n, dim]; an item's score is its inner product with the item's vector.
            target: the n items that came next.
            other: those of `others`.
        """
        raise NotImplementedError


@tf_keras.saving.register_keras_serializable("semid_tf")
class FullSoftmax(SequenceLoss):
    """Cross-entropy over the whole catalogue, or over the items that training knows.

    Args:
        items: int [m], item indices in ascending order, such as `np.arange(1, num_items + 1)`; every
            target is one of them. An item left out is not pushed down for never being chosen.
    """

    def __init__(self, items: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.items = np.asarray(items, np.int32)

    def others(self, targets: tf.Tensor) -> tf.Tensor:
        return tf.constant(self.items)

    def call(self, hidden: tf.Tensor, target: Candidates, other: Candidates) -> tf.Tensor:
        logits = tf.matmul(hidden, other.vectors, transpose_b=True)
        places = tf.searchsorted(other.items, target.items)
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(places, logits))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"items": self.items.tolist()}


@tf_keras.saving.register_keras_serializable("semid_tf")
class SampledSoftmax(SequenceLoss):
    """Cross-entropy against items drawn by popularity for the whole batch, each less log of its draws.

    Taking the log of the expected number of draws from each logit makes it an estimate of the full softmax
    (Bengio and Senecal 2008): without it popular items would be pushed down. A draw of the target itself
    does not count.

    Args:
        counts: how often each item is trained on, [num_items]; an item of count 0 is never drawn.
        num_samples: drawn for a batch, with replacement.
        power: the odds are counts ** power.
        seed: fixes the draws.

    Raises:
        ConfigError: there is no count above 0, or no sample.
    """

    def __init__(
        self, counts: Any, num_samples: int = 1024, power: float = 1.0, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        counts = np.asarray(counts, np.float64)
        if num_samples < 1 or not counts.any():
            raise ConfigError(f"sampled softmax needs samples and counts above 0, got {num_samples} samples.")
        self.counts, self.num_samples, self.power, self.seed = counts, num_samples, power, seed
        self.draws = CountedSeed(seed)
        odds = np.where(counts > 0, np.maximum(counts, 1e-30) ** power, 0)
        self._below = tf.constant(np.cumsum(odds / odds.sum()), tf.float32)
        with np.errstate(divide="ignore"):
            self._log_odds = tf.constant(np.log(np.concatenate([[1], odds / odds.sum()])), tf.float32)

    def others(self, targets: tf.Tensor) -> tf.Tensor:
        drawn = tf.random.stateless_uniform((self.num_samples,), self.draws.next())
        places = tf.searchsorted(self._below, drawn, side="right")
        return tf.minimum(places, len(self.counts) - 1) + 1

    def call(self, hidden: tf.Tensor, target: Candidates, other: Candidates) -> tf.Tensor:
        own = tf.reduce_sum(hidden * target.vectors, axis=1)
        expected = tf.gather(self._log_odds, other.items) + tf.math.log(float(self.num_samples))
        logits = tf.matmul(hidden, other.vectors, transpose_b=True) - expected
        logits = tf.where(target.items[:, None] == other.items[None, :], _NEVER, logits)
        return tf.reduce_mean(tf.reduce_logsumexp(tf.concat([own[:, None], logits], 1), axis=1) - own)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "counts": self.counts.tolist(),
            "num_samples": self.num_samples,
            "power": self.power,
            "seed": self.seed,
        }


@tf_keras.saving.register_keras_serializable("semid_tf")
class BinaryCrossEntropy(SequenceLoss):
    """The target against one item drawn uniformly, as in SASRec and Lin et al. 2025.

    Args:
        items: int [m], item indices to draw from.
        seed: fixes the draws.
    """

    def __init__(self, items: Any, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.items, self.seed, self.draws = np.asarray(items, np.int32), seed, CountedSeed(seed)

    def others(self, targets: tf.Tensor) -> tf.Tensor:
        seed, most = self.draws.next(), len(self.items)
        drawn = tf.random.stateless_uniform(tf.shape(targets), seed, 0, most, tf.int32)
        return tf.gather(tf.constant(self.items), drawn)

    def call(self, hidden: tf.Tensor, target: Candidates, other: Candidates) -> tf.Tensor:
        liked, not_chosen = (tf.reduce_sum(hidden * part.vectors, axis=1) for part in (target, other))
        told_apart = tf.cast(target.items != other.items, tf.float32)
        losses = tf.nn.softplus(-liked) + tf.nn.softplus(not_chosen)
        return tf.math.divide_no_nan(tf.reduce_sum(losses * told_apart), tf.reduce_sum(told_apart))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"items": self.items.tolist(), "seed": self.seed}
