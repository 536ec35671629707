"""A user's history: what he likes of late, and what of it speaks for a candidate."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras

from semid_tf.config import RankerConfig
from semid_tf.errors import ConfigError

_NEVER = -1e9
_MAX_HISTORY = 500


class User(NamedTuple):
    """A user, ready for any number of candidates.

    Attributes:
        vectors: float32 [b, h, dim], of the history's items.
        known: float32 [b, h], 1, or 0 = padding.
        recency: float32 [b, h], added to the match of each item in attention.
        interest: float32 [b, dim], mean of the history by recency; zeros for an empty history.
    """

    vectors: tf.Tensor
    known: tf.Tensor
    recency: tf.Tensor
    interest: tf.Tensor


class View(NamedTuple):
    """A user as candidates see him.

    Attributes:
        interest: float32 [b, c, dim], of the user.
        candidates: float32 [b, c, dim], their vectors.
        alike: float32 [b, c, dim], what of the history speaks for each candidate; zeros for an empty history.
    """

    interest: tf.Tensor
    candidates: tf.Tensor
    alike: tf.Tensor


class History(tf_keras.layers.Layer):
    """What a ranker knows of a history; a part that is passed to it.

    What belongs to the user alone is computed once a request, by `user`; `view` meets him with candidates.
    """

    def user(self, vectors: tf.Tensor, known: tf.Tensor) -> Any:
        """What is computed once for a user, however many candidates there are: a structure of tensors.

        Args:
            vectors: float32 [b, h, dim], latest last.
            known: bool [b, h]; false = padding, wherever it stands.
        """
        raise NotImplementedError

    def view(self, user: Any, candidates: tf.Tensor) -> View:
        """What the candidates, float32 [b, c, dim], see of a user."""
        raise NotImplementedError


@tf_keras.saving.register_keras_serializable("semid_tf")
class MeanHistory(History):
    """The history is the mean of its items, by recency.

    Args:
        recency_steps: so many latest places of a history have a weight of their own; older ones share
            the last.
    """

    def __init__(self, recency_steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.recency_steps = recency_steps

    def build(self, input_shape: Any = None) -> None:
        self.interest_recency = self._by_recency("interest_recency")
        self.match_recency = self._by_recency("match_recency")
        super().build(input_shape)

    def _by_recency(self, name: str) -> tf.Variable:
        return self.add_weight(name=name, shape=(self.recency_steps,), initializer="zeros")

    def user(self, vectors: tf.Tensor, known: tf.Tensor) -> User:
        later = tf.cumsum(tf.cast(known, tf.int32), axis=1, exclusive=True, reverse=True)
        age = tf.minimum(later, self.recency_steps - 1)
        mask = tf.cast(known, vectors.dtype)
        weights = _shares(tf.gather(self.interest_recency, age), mask)
        interest = tf.einsum("bh,bhd->bd", weights, vectors)
        return User(vectors, mask, tf.gather(self.match_recency, age), interest)

    def view(self, user: User, candidates: tf.Tensor) -> View:
        interest = tf.broadcast_to(user.interest[:, None, :], tf.shape(candidates))
        return View(interest, candidates, self.alike(user, candidates))

    def alike(self, user: User, candidates: tf.Tensor) -> tf.Tensor:
        """What of the history speaks for each candidate, float32 [b, c, dim]: here the same for all."""
        weights = _shares(user.recency, user.known)
        mean = tf.einsum("bh,bhd->bd", weights, user.vectors)
        return tf.broadcast_to(mean[:, None, :], tf.shape(candidates))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"recency_steps": self.recency_steps}


@tf_keras.saving.register_keras_serializable("semid_tf")
class HistoryAttention(MeanHistory):
    """Attention of candidates to a history, by likeness and recency (in the manner of DIN, arXiv 1706.06978).

    Args:
        recency_steps: so many latest places of a history have a weight of their own; older ones share
            the last.
    """

    def build(self, input_shape: Any = None) -> None:
        self.match_scale = self.add_weight(name="match_scale", shape=(), initializer="ones")
        super().build(input_shape)

    def alike(self, user: User, candidates: tf.Tensor) -> tf.Tensor:
        match = self.match_scale * tf.einsum("bhd,bcd->bch", user.vectors, candidates)
        weights = _shares(match + user.recency[:, None, :], user.known[:, None, :])
        return tf.einsum("bch,bhd->bcd", weights, user.vectors)


@tf_keras.saving.register_keras_serializable("semid_tf")
class DINAttention(MeanHistory):
    """The activation unit of DIN (arXiv 1706.06978, sec. 4.3): a small network weighs each item of a history.

    It sees the item, the candidate, their product and difference, and the recency. Weights are not
    normalised, so that the strength of an interest is kept.

    Args:
        recency_steps: as in `MeanHistory`.
        hidden_dim: width of the network.
        seed: fixes the start.
        max_history: so many latest items of a history are seen: memory grows by 4 dim numbers for each of
            them and each candidate.

    Raises:
        ConfigError: max_history is below 1.
    """

    def __init__(
        self,
        recency_steps: int,
        hidden_dim: int = 36,
        seed: int = 0,
        max_history: int = _MAX_HISTORY,
        **kwargs: Any,
    ) -> None:
        super().__init__(recency_steps, **kwargs)
        self.hidden_dim, self.seed, self.max_history = hidden_dim, seed, _at_least_one(max_history)
        start = tf_keras.initializers.GlorotUniform(seed=seed)
        self.hidden = tf_keras.layers.Dense(hidden_dim, "relu", kernel_initializer=start)
        self.weight = tf_keras.layers.Dense(1, kernel_initializer=start)

    def user(self, vectors: tf.Tensor, known: tf.Tensor) -> User:
        return super().user(*_latest(vectors, known, self.max_history))

    def alike(self, user: User, candidates: tf.Tensor) -> tf.Tensor:
        item, candidate = user.vectors[:, None, :, :], candidates[:, :, None, :]
        product = item * candidate
        item, candidate = item + tf.zeros_like(product), candidate + tf.zeros_like(product)
        seen = tf.concat([item, candidate, product, item - candidate], axis=-1)
        weights = tf.squeeze(self.weight(self.hidden(seen)), axis=-1) + user.recency[:, None, :]
        return tf.einsum("bch,bhd->bcd", weights * user.known[:, None, :], user.vectors)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "hidden_dim": self.hidden_dim,
            "seed": self.seed,
            "max_history": self.max_history,
        }


@tf_keras.saving.register_keras_serializable("semid_tf")
class HistoryTransformer(HistoryAttention):
    """One block of self-attention over the history, then attention of candidates by likeness and recency.

    Items meet the others of the history (Vaswani et al. 2017, normalised before each part) before they are
    met with candidates; their recency is told by a learned vector a place.

    Args:
        recency_steps: as in `MeanHistory`.
        num_heads: of the self-attention, at most the dimension of the vectors.
        max_history: so many latest items of a history are seen: memory grows with their square.

    Raises:
        ConfigError: max_history is below 1.
    """

    def __init__(
        self, recency_steps: int, num_heads: int = 2, max_history: int = _MAX_HISTORY, **kwargs: Any
    ) -> None:
        super().__init__(recency_steps, **kwargs)
        self.num_heads, self.max_history = num_heads, _at_least_one(max_history)

    def user(self, vectors: tf.Tensor, known: tf.Tensor) -> User:
        vectors, known = _latest(vectors, known, self.max_history)
        if not hasattr(self, "meet"):
            self._add_block(vectors.shape[-1])
        later = tf.cumsum(tf.cast(known, tf.int32), axis=1, exclusive=True, reverse=True)
        places = tf.gather(self.places, tf.minimum(later, self.recency_steps - 1))
        normal = self.normal(vectors) + places
        met = vectors + self.meet(normal, normal, attention_mask=known[:, None, :])
        deeper = met + self.narrow(self.widen(self.normal_deeper(met)))
        return super().user(deeper * tf.cast(known, vectors.dtype)[..., None], known)

    def _add_block(self, dim: int) -> None:
        self.places = self.add_weight(name="places", shape=(self.recency_steps, dim), initializer="zeros")
        self.normal = tf_keras.layers.LayerNormalization()
        self.normal_deeper = tf_keras.layers.LayerNormalization()
        self.meet = tf_keras.layers.MultiHeadAttention(self.num_heads, max(dim // self.num_heads, 1))
        self.widen = tf_keras.layers.Dense(2 * dim, "relu")
        self.narrow = tf_keras.layers.Dense(dim)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"num_heads": self.num_heads, "max_history": self.max_history}


def history_part(config: RankerConfig) -> History:
    """The part that a ranker's settings name, with its own defaults.

    >>> type(history_part(RankerConfig(history="din"))).__name__
    'DINAttention'
    """
    if config.history == "din":
        return DINAttention(config.recency_steps, seed=config.seed, name="attention")
    kinds = {"mean": MeanHistory, "likeness": HistoryAttention, "transformer": HistoryTransformer}
    return kinds[config.history](config.recency_steps, name="attention")


def _at_least_one(max_history: int) -> int:
    if max_history < 1:
        raise ConfigError(f"max_history must be at least 1, got {max_history}.")
    return max_history


def _latest(vectors: tf.Tensor, known: tf.Tensor, most: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The latest known items of each history, `most` of them, and which are none."""
    if known.shape[1] is not None and known.shape[1] <= most:
        return vectors, known
    # Padding first, whatever its place; a stable order keeps the known items in theirs.
    places = tf.argsort(tf.cast(known, tf.int32), axis=1, stable=True)[:, -most:]
    return tf.gather(vectors, places, batch_dims=1), tf.gather(known, places, batch_dims=1)


def _shares(logits: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Softmax over the last axis where the mask is 1, and 0 elsewhere."""
    return tf.nn.softmax(logits + (1.0 - mask) * _NEVER) * mask
