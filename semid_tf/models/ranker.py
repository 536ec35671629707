"""The ranking model: a user's history meets candidates (Singh et al. 2024, sec. 3.2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras

from semid_tf.config import RankerConfig, from_table
from semid_tf.layers import CatalogueEmbedding, SemanticEmbedding
from semid_tf.models.history import History, history_part
from semid_tf.models.tasks import CLICK, Task


@tf_keras.saving.register_keras_serializable("semid_tf")
class Ranker(tfrs.Model):
    """Scores candidates for a user.

    The user's interest, the candidate, and the candidate's products with the interest and with what of the
    history is like it, go through DCN-v2 cross layers and an MLP; the products are added to its logit.

    Trains on tuples (inputs, labels float32 [b, c], weights float32 [b, c]) with inputs
    `{"history": int32 [b, h], "candidates": int32 [b, c]}` of item indices, 0 = padding; histories may be
    ragged instead. Over a `SemanticEmbedding` items are their codes: int32 [b, h, num_levels] and
    [b, c, num_levels], -1 = padding; such a ranker needs no catalogue. With a context, also `"context"`, the
    dict that it takes; with several tasks, labels are float32 [b, c, num_tasks].

    Args:
        config: sizes and training; see `RankerConfig`.
        item_embedding: item index or codes -> vector; history and candidates share it.
        attention: what of a history speaks for a candidate; None = as `config.history` says.
        context: what else is known of a request -> vector, such as `ContextFeatures`; None = nothing.
        tasks: what is learned; the first is what candidates are ranked by.
    """

    def __init__(
        self,
        config: RankerConfig,
        item_embedding: CatalogueEmbedding | SemanticEmbedding,
        attention: History | None = None,
        context: tf_keras.layers.Layer | None = None,
        tasks: Sequence[Task] = (CLICK,),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config, self.item_embedding = config, item_embedding
        self.context, self.tasks = context, tuple(tasks)
        self.attention = attention or history_part(config)
        if not self.attention.built:
            self.attention.build()
        self.input_dropout = tf_keras.layers.Dropout(config.dropout, seed=config.seed)
        self.crosses = [
            tfrs.layers.dcn.Cross(kernel_initializer=self._start(i)) for i in range(config.num_cross_layers)
        ]
        self.tower = tf_keras.Sequential(self._tower_layers(), name="tower")
        if context and not context.built:
            context.build(None)
        nobody = tf.constant(item_embedding.padding)[None, None]
        self({"history": nobody, "candidates": nobody})

    def _start(self, place: int) -> tf_keras.initializers.Initializer:
        return tf_keras.initializers.GlorotUniform(seed=self.config.seed * 100 + place)

    def _tower_layers(self) -> list[tf_keras.layers.Layer]:
        layers: list[tf_keras.layers.Layer] = []
        for place, width in enumerate(self.config.hidden_dims):
            layers.append(tf_keras.layers.Dense(width, "relu", kernel_initializer=self._start(10 + place)))
            layers.append(tf_keras.layers.Dropout(self.config.dropout, seed=self.config.seed + place))
        return [*layers, tf_keras.layers.Dense(len(self.tasks), kernel_initializer=self._start(99))]

    def over(self, item_embedding: CatalogueEmbedding, attention: History | None = None) -> Ranker:
        """This ranker over other items: cross layers and MLP are copied, context and attention shared.

        Args:
            item_embedding: of those items.
            attention: None = this ranker's.
        """
        made = Ranker(self.config, item_embedding, attention or self.attention, self.context, self.tasks)
        for to, of in zip([*made.crosses, made.tower], [*self.crosses, self.tower], strict=True):
            to.set_weights(of.get_weights())
        return made

    def user(self, history_vectors: tf.Tensor, known: tf.Tensor) -> Any:
        """What is computed once for a user: from vectors float32 [b, h, dim] and known bool [b, h]."""
        return self.attention.user(history_vectors, known)

    def score(self, user: Any, candidates: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Logits of candidate vectors, float32 [b, c, dim], for users of whom no context is known: [b, c]."""
        return self.outputs_of(user, candidates, None, training)[..., 0]

    def outputs_of(
        self, user: Any, candidates: tf.Tensor, context: dict[str, tf.Tensor] | None, training: bool = False
    ) -> tf.Tensor:
        """Outputs of all tasks for candidate vectors, float32 [b, c, dim]: float32 [b, c, num_tasks]."""
        view = self.attention.view(user, candidates)
        products = (view.interest * view.candidates, view.alike * view.candidates)
        features = tf.concat([view.interest, view.candidates, *products], axis=-1)
        if self.context:
            told = self.context(context, training=training) if context else tf.zeros((1, self.context.dim))
            shape = (*tf.unstack(tf.shape(features)[:2]), self.context.dim)
            features = tf.concat([features, tf.broadcast_to(told[:, None], shape)], axis=-1)
        crossed = start = self.input_dropout(features, training=training)
        for cross in self.crosses:
            crossed = cross(start, crossed)
        deep = self.tower(crossed, training=training)
        return deep + tf.reduce_sum(tf.add_n(products), axis=-1, keepdims=True)

    def task_outputs(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """Outputs of all tasks: float32 [b, c, num_tasks]."""
        history, candidates = self._padded(inputs["history"]), inputs["candidates"]
        vectors = self.item_embedding(tf.concat([history, candidates], axis=1), training=training)
        length = tf.shape(history)[1]
        user = self.user(vectors[:, :length], self.item_embedding.compute_mask(history))
        return self.outputs_of(user, vectors[:, length:], inputs.get("context"), training)

    def _padded(self, items: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
        return items.to_tensor(self.item_embedding.padding) if isinstance(items, tf.RaggedTensor) else items

    def call(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """Logits of the candidates by the first task: float32 [b, c]."""
        return self.task_outputs(inputs, training)[..., 0]

    def compute_loss(self, inputs: Any, training: bool = False) -> tf.Tensor:
        features, labels, weights = inputs
        number = len(self.tasks)
        outputs = tf.reshape(self.task_outputs(features, training), (-1, number))
        labels, weights = tf.reshape(labels, (-1, number)), tf.reshape(weights, (-1,))
        losses = [
            task.loss(labels[:, place], outputs[:, place], weights) for place, task in enumerate(self.tasks)
        ]
        return tf.add_n(losses)

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Nothing to do: a model is built when it is made."""

    def get_config(self) -> dict[str, Any]:
        return {
            "config": dataclasses.asdict(self.config) | {"hidden_dims": list(self.config.hidden_dims)},
            "item_embedding": tf_keras.saving.serialize_keras_object(self.item_embedding),
            "attention": tf_keras.saving.serialize_keras_object(self.attention),
            "context": tf_keras.saving.serialize_keras_object(self.context),
            "tasks": [dataclasses.asdict(task) for task in self.tasks],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Ranker:
        names = ("item_embedding", "attention", "context")
        parts = {name: tf_keras.saving.deserialize_keras_object(config[name]) for name in names}
        tasks = [Task(**task) for task in config["tasks"]]
        return cls(from_table(RankerConfig, config["config"]), **parts, tasks=tasks)
