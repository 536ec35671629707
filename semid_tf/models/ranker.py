"""The ranking model: a user's history meets candidates (Singh et al. 2024, sec. 3.2)."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras

from semid_tf.config import RankerConfig, from_table
from semid_tf.layers import CatalogueEmbedding
from semid_tf.models.history import History, HistoryAttention


@tf_keras.saving.register_keras_serializable("semid_tf")
class Ranker(tfrs.Model):
    """Scores candidates for a user.

    The user's interest, the candidate, and the candidate's products with the interest and with what of the
    history is like it, go through DCN-v2 cross layers and an MLP; the products are added to its logit.

    Trains on tuples (inputs, labels float32 [b, c], weights float32 [b, c]) with inputs
    `{"history": int32 [b, h], "candidates": int32 [b, c]}` of item indices, 0 = padding.

    Args:
        config: sizes and training; see `RankerConfig`.
        item_embedding: item index -> vector; history and candidates share it.
        attention: what of a history speaks for a candidate; None = `HistoryAttention`.
    """

    def __init__(
        self,
        config: RankerConfig,
        item_embedding: CatalogueEmbedding,
        attention: History | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config, self.item_embedding = config, item_embedding
        self.attention = attention or HistoryAttention(config.recency_steps, name="attention")
        if not self.attention.built:
            self.attention.build()
        self.input_dropout = tf_keras.layers.Dropout(config.dropout, seed=config.seed)
        self.crosses = [
            tfrs.layers.dcn.Cross(kernel_initializer=self._start(i)) for i in range(config.num_cross_layers)
        ]
        self.tower = tf_keras.Sequential(self._tower_layers(), name="tower")
        self.task = tfrs.tasks.Ranking(
            loss=tf_keras.losses.BinaryCrossentropy(from_logits=True),
            metrics=[tf_keras.metrics.AUC(from_logits=True)],
        )
        self({"history": tf.zeros((1, 1), tf.int32), "candidates": tf.zeros((1, 1), tf.int32)})

    def _start(self, place: int) -> tf_keras.initializers.Initializer:
        return tf_keras.initializers.GlorotUniform(seed=self.config.seed * 100 + place)

    def _tower_layers(self) -> list[tf_keras.layers.Layer]:
        layers: list[tf_keras.layers.Layer] = []
        for place, width in enumerate(self.config.hidden_dims):
            layers.append(tf_keras.layers.Dense(width, "relu", kernel_initializer=self._start(10 + place)))
            layers.append(tf_keras.layers.Dropout(self.config.dropout, seed=self.config.seed + place))
        return [*layers, tf_keras.layers.Dense(1, kernel_initializer=self._start(99))]

    def user(self, history_vectors: tf.Tensor, known: tf.Tensor) -> Any:
        """What is computed once for a user: from vectors float32 [b, h, dim] and known bool [b, h]."""
        return self.attention.user(history_vectors, known)

    def score(self, user: Any, candidates: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Logits of candidate vectors, float32 [b, c, dim], for users: float32 [b, c]."""
        view = self.attention.view(user, candidates)
        products = (view.interest * view.candidates, view.alike * view.candidates)
        features = tf.concat([view.interest, view.candidates, *products], axis=-1)
        crossed = start = self.input_dropout(features, training=training)
        for cross in self.crosses:
            crossed = cross(start, crossed)
        deep = tf.squeeze(self.tower(crossed, training=training), axis=-1)
        return deep + tf.reduce_sum(tf.add_n(products), axis=-1)

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Logits of the candidates: float32 [b, c]."""
        history, candidates = inputs["history"], inputs["candidates"]
        vectors = self.item_embedding(tf.concat([history, candidates], axis=1))
        length = tf.shape(history)[1]
        user = self.user(vectors[:, :length], history > 0)
        return self.score(user, vectors[:, length:], training=training)

    def compute_loss(self, inputs: Any, training: bool = False) -> tf.Tensor:
        features, labels, weights = inputs
        logits = self(features, training=training)
        return self.task(
            labels=tf.reshape(labels, (-1, 1)),
            predictions=tf.reshape(logits, (-1, 1)),
            sample_weight=tf.reshape(weights, (-1, 1)),
            compute_metrics=not training,
        )

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Nothing to do: a model is built when it is made."""

    def get_config(self) -> dict[str, Any]:
        return {
            "config": dataclasses.asdict(self.config) | {"hidden_dims": list(self.config.hidden_dims)},
            "item_embedding": tf_keras.saving.serialize_keras_object(self.item_embedding),
            "attention": tf_keras.saving.serialize_keras_object(self.attention),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Ranker:
        parts = (config["item_embedding"], config["attention"])
        return cls(
            from_table(RankerConfig, config["config"]), *map(tf_keras.saving.deserialize_keras_object, parts)
        )
