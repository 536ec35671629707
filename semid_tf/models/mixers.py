"""How a place gathers what its sequence held so far: attention, frequencies, gated attention."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.errors import ConfigError
from semid_tf.layers import CountedDropout
from semid_tf.models.backbone import Places, normal

_NEVER = -1e9


@tf_keras.saving.register_keras_serializable("semid_tf")
class SelfAttention(tf_keras.layers.Layer):
    """Multi-head attention: float32 [b, p, dim] -> [b, p, dim] (SASRec, arXiv 1808.09781).

    Args:
        num_heads: of equal width.
        width: of all heads together.
        dropout: of the attention weights.
        seed: fixes start and draws.

    Raises:
        ConfigError: `num_heads` does not divide `width`.
    """

    def __init__(self, num_heads: int, width: int, dropout: float, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _require_equal_heads(num_heads, width)
        self.num_heads, self.width, self.dropout, self.seed = num_heads, width, dropout, seed

    def build(self, input_shape: tf.TensorShape) -> None:
        self.heads = _heads(3, self.num_heads, self.width, normal(self.seed))
        self.out = _joined(input_shape[-1], normal(self.seed + 1))
        self.drop = CountedDropout(self.dropout, self.seed)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, places: Places, training: bool = False) -> tf.Tensor:
        query, key, value = tf.unstack(self.heads(inputs), num=3, axis=1)
        logits = tf.matmul(query, key, transpose_b=True) * query.shape[-1] ** -0.5
        weights = tf.nn.softmax(tf.where(places.sees()[:, None], logits, _NEVER))
        return self.out(tf.matmul(self.drop(weights, training=training), value))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_heads": self.num_heads,
            "width": self.width,
            "dropout": self.dropout,
            "seed": self.seed,
        }


@tf_keras.saving.register_keras_serializable("semid_tf")
class FrequencyMixer(tf_keras.layers.Layer):
    """Low and high frequencies beside attention, in the manner of BSARec (arXiv 2312.10325).

    low = mean of the latest `window` events, mix = share (low + beta^2 (x - low)) + (1 - share) attention(x),
    with beta learned for each dimension. BSARec takes its low frequencies from the Fourier transform of the
    whole sequence, which sees what comes after a place; a mean of what came before does not, so that every
    place can be trained on at once.

    Args:
        attention: the other mixer.
        window: events.
        share: of the frequencies.
        seed: fixes the start.
    """

    def __init__(
        self,
        attention: tf_keras.layers.Layer,
        window: int = 5,
        share: float = 0.7,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.attention, self.window, self.share, self.seed = attention, window, share, seed

    def build(self, input_shape: tf.TensorShape) -> None:
        start = tf_keras.initializers.RandomNormal(stddev=1.0, seed=self.seed)
        self.beta = self.add_weight(name="beta", shape=input_shape[-1:], initializer=start)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, places: Places, training: bool = False) -> tf.Tensor:
        near = tf.cast(places.sees() & (places.age() < self.window), inputs.dtype)
        near = tf.math.divide_no_nan(near, tf.reduce_sum(near, axis=-1, keepdims=True))
        low = tf.matmul(near, inputs)
        frequencies = low + tf.square(self.beta) * (inputs - low)
        attended = self.attention(inputs, places, training=training)
        return self.share * frequencies + (1 - self.share) * attended

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "attention": tf_keras.saving.serialize_keras_object(self.attention),
            "window": self.window,
            "share": self.share,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FrequencyMixer:
        return cls(**config | {"attention": tf_keras.saving.deserialize_keras_object(config["attention"])})


@tf_keras.saving.register_keras_serializable("semid_tf")
class GatedAttention(tf_keras.layers.Layer):
    """HSTU's block (arXiv 2402.17152): weights SiLU(q k + bias of age) / events seen, no softmax; gated.

    u, v, q, k = SiLU(x W); out = (norm(sum of weights * v) * u) W'. Use it pre-LN and without nets.

    Args:
        num_heads: of equal width.
        width: of all heads together.
        max_length: ages from there on share their bias.
        seed: fixes the start.

    Raises:
        ConfigError: `num_heads` does not divide `width`.
    """

    def __init__(
        self, num_heads: int, width: int, max_length: int = 50, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        _require_equal_heads(num_heads, width)
        self.num_heads, self.width, self.max_length, self.seed = num_heads, width, max_length, seed

    def build(self, input_shape: tf.TensorShape) -> None:
        self.heads = _heads(4, self.num_heads, self.width, normal(self.seed))
        self.out = _joined(input_shape[-1], normal(self.seed + 1))
        self.norm = tf_keras.layers.LayerNormalization(epsilon=1e-6)
        self.bias = self.add_weight(
            name="bias", shape=(self.max_length + 1,), initializer=normal(self.seed + 2)
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, places: Places, training: bool = False) -> tf.Tensor:
        gate, value, query, key = tf.unstack(tf.nn.silu(self.heads(inputs)), num=4, axis=1)
        bias = tf.gather(self.bias, tf.clip_by_value(places.age(), 0, self.max_length))
        seen = tf.cast(places.sees(), inputs.dtype)[:, None]
        weights = tf.nn.silu(tf.matmul(query, key, transpose_b=True) + bias[:, None]) * seen
        gathered = tf.matmul(tf.math.divide_no_nan(weights, tf.reduce_sum(seen, -1, keepdims=True)), value)
        return self.out(self.norm(gathered) * gate)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_heads": self.num_heads,
            "width": self.width,
            "max_length": self.max_length,
            "seed": self.seed,
        }


def _require_equal_heads(num_heads: int, width: int) -> None:
    if num_heads < 1 or width % num_heads:
        raise ConfigError(f"num_heads must divide width, {width}, got {num_heads}.")


def _heads(kinds: int, num_heads: int, width: int, start: Any) -> tf_keras.layers.EinsumDense:
    """x -> what the heads take, float32 [b, kinds, heads, p, width of a head]."""
    shape = (kinds, num_heads, None, width // num_heads)
    return tf_keras.layers.EinsumDense("bpd,dkhw->bkhpw", shape, bias_axes="khw", kernel_initializer=start)


def _joined(dim: int, start: Any) -> tf_keras.layers.EinsumDense:
    """What the heads gathered -> float32 [b, p, dim]."""
    return tf_keras.layers.EinsumDense("bhpw,hwd->bpd", (None, dim), bias_axes="d", kernel_initializer=start)
