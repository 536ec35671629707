"""Backbones of sequence models: blocks of a mixer over the events seen so far, and a feed-forward net."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras

from semid_tf.layers import CountedDropout


class Places(NamedTuple):
    """Where events stand in packed or padded rows.

    Attributes:
        segments: int32 [b, p]; events of one sequence have one number above 0, padding has 0.
        places: int32 [b, p]; counted back from the end of their sequence: 1 = the latest.
    """

    segments: tf.Tensor
    places: tf.Tensor

    def age(self) -> tf.Tensor:
        """How many events column j lies before row i: int32 [b, p, p]."""
        return self.places[:, None, :] - self.places[:, :, None]

    def sees(self) -> tf.Tensor:
        """Whether row i sees column j, of its own sequence up to itself: bool [b, p, p].

        Padding sees itself alone, so that a history of nothing says the same however much of it there is.
        """
        same = self.segments[:, :, None] == self.segments[:, None, :]
        itself = tf.eye(tf.shape(self.segments)[1], dtype=tf.bool)
        return itself | same & (self.age() >= 0) & (self.segments > 0)[:, :, None]


@tf_keras.saving.register_keras_serializable("semid_tf")
class Backbone(tf_keras.layers.Layer):
    """Item vectors, float32 [b, p, dim], to what each place knows of its user, float32 [b, p, dim].

    Learned places are added, then come the blocks. Post-LN: x <- LN(x + mix(x)), x <- LN(x + net(x)), after a
    norm and dropout of the input, as in S3-Rec's SASRec. Pre-LN: x <- x + mix(LN(x)), x <- x + net(LN(x)),
    and a norm at the end.

    Args:
        mixers: one a block, called as `mixer(x, places, training=...)`: `SelfAttention`, `FrequencyMixer`,
            `GatedAttention`.
        max_length: events of the longest sequence.
        net_dim: hidden width of the feed-forward nets (GELU); 0 = none, as in HSTU.
        dropout: of the input, the mixers' and the nets' outputs.
        norm_first: pre-LN instead of post-LN.
        seed: fixes start and draws.
    """

    def __init__(
        self,
        mixers: Sequence[tf_keras.layers.Layer],
        max_length: int = 50,
        net_dim: int = 256,
        dropout: float = 0.5,
        norm_first: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mixers, self.max_length, self.net_dim = list(mixers), max_length, net_dim
        self.dropout, self.norm_first, self.seed = dropout, norm_first, seed

    def build(self, input_shape: tf.TensorShape) -> None:
        dim, blocks = input_shape[-1], range(len(self.mixers))
        self.place = self.add_weight(
            name="place", shape=(self.max_length + 1, dim), initializer=normal(self.seed)
        )
        self.drops = [CountedDropout(self.dropout, self.seed * 1000 + i) for i in range(2 * len(blocks) + 1)]
        norms = 2 * len(blocks) if self.net_dim else len(blocks)
        self.norms = [tf_keras.layers.LayerNormalization(epsilon=1e-12) for _ in range(norms + 1)]
        self.nets = [_net(self.net_dim, dim, self.seed + 10 * i) for i in blocks] if self.net_dim else []
        super().build(input_shape)

    def call(self, vectors: tf.Tensor, places: Places, training: bool = False) -> tf.Tensor:
        x, norms, drops = vectors + tf.gather(self.place, places.places), iter(self.norms), iter(self.drops)
        if not self.norm_first:
            x = next(norms)(x)
        x = next(drops)(x, training=training)
        for part in self._parts(places, training):
            norm, drop = next(norms), next(drops)
            if self.norm_first:
                x += drop(part(norm(x)), training=training)
            else:
                x = norm(x + drop(part(x), training=training))
        return next(norms)(x) if self.norm_first else x

    def _parts(self, places: Places, training: bool) -> list[Callable[[tf.Tensor], tf.Tensor]]:
        """Mixers, each followed by its net where there are nets."""
        mixers: list[Callable[[tf.Tensor], tf.Tensor]] = [
            partial(mixer, places=places, training=training) for mixer in self.mixers
        ]
        if not self.nets:
            return mixers
        return [part for block in zip(mixers, self.nets, strict=True) for part in block]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "mixers": [tf_keras.saving.serialize_keras_object(mixer) for mixer in self.mixers],
            "max_length": self.max_length,
            "net_dim": self.net_dim,
            "dropout": self.dropout,
            "norm_first": self.norm_first,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Backbone:
        mixers = [tf_keras.saving.deserialize_keras_object(mixer) for mixer in config["mixers"]]
        return cls(**config | {"mixers": mixers})


def normal(seed: int) -> tf_keras.initializers.Initializer:
    """N(0, .02), the start of BERT and of what came from it."""
    return tf_keras.initializers.RandomNormal(stddev=0.02, seed=seed)


def _net(hidden: int, dim: int, seed: int) -> tf_keras.Sequential:
    return tf_keras.Sequential(
        [
            tf_keras.layers.Dense(hidden, "gelu", kernel_initializer=normal(seed + 4)),
            tf_keras.layers.Dense(dim, kernel_initializer=normal(seed + 5)),
        ]
    )
