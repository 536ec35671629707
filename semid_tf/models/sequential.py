"""The sequential recommender whose items are Semantic IDs and IDs unified (Lin et al. 2025)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from semid_tf.layers import ItemTower
from semid_tf.models.backbone import Backbone, Places
from semid_tf.models.sequence_losses import Candidates, SequenceLoss
from semid_tf.models.sequence_scorer import SequenceScorer


@tf_keras.saving.register_keras_serializable("semid_tf")
class SequentialModel(SequenceScorer):
    """Foretells a user's next item from his last ones.

    An item's vector is input and output: what the backbone makes of a history is held against the vectors of
    all items by inner product. Trains on batches of packed rows (see `packed`), `{"items", "targets",
    "segments", "places"}`, int32 [rows, row_length] each; the loss is that of `loss` plus those of the
    tower's tokens.

    Args:
        tower: item indices -> vectors.
        backbone: vectors of a history -> what it says.
        loss: see `SequenceLoss`.
        scale: of the tower's vectors where they enter the backbone.
    """

    def __init__(
        self, tower: ItemTower, backbone: Backbone, loss: SequenceLoss, scale: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.tower, self.backbone, self.sequence_loss, self.scale = tower, backbone, loss, scale
        self(tf.zeros((1, 1), tf.int32))

    @property
    def max_length(self) -> int:
        return self.backbone.max_length

    @property
    def dim(self) -> int:
        return self.tower.dim

    def vectors(self, items: tf.Tensor) -> tf.Tensor:
        return self.tower(items)

    def of_content(self, embeddings: tf.Tensor) -> tf.Tensor:
        return self.tower.of_content(embeddings)

    def state(self, vectors: tf.Tensor, places: Places, training: bool = False) -> tf.Tensor:
        """What the places of sequences know of their users, float32 [b, p, dim]."""
        return self.backbone(self.scale * vectors, places, training=training)

    def of_vectors(self, vectors: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        length = tf.shape(known)[1]
        places = tf.broadcast_to(tf.range(length, 0, -1), tf.shape(known))
        return self.state(vectors, Places(tf.cast(known, tf.int32), places))[:, -1]

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        asked = inputs["targets"] > 0
        targets = tf.boolean_mask(inputs["targets"], asked)
        others = self.sequence_loss.others(targets)
        events, target, other = self._candidates(
            (tf.reshape(inputs["items"], [-1]), targets, others), training
        )
        vectors = tf.reshape(events.vectors, tf.concat([tf.shape(asked), [-1]], axis=0))
        vectors = tf.ensure_shape(vectors, (*asked.shape, events.vectors.shape[-1]))
        hidden = self.state(vectors, Places(inputs["segments"], inputs["places"]), training)
        return self.sequence_loss(tf.boolean_mask(hidden, asked), target, other)

    def _candidates(self, items: tuple[tf.Tensor, ...], training: bool) -> list[Candidates]:
        """Inputs, targets and others with their vectors; each different item goes through the tower once."""
        sizes = [tf.size(part) for part in items]
        distinct, place = tf.unique(tf.concat(items, axis=0))
        events = place[: sizes[0] + sizes[1]]
        counts = tf.math.bincount(events, minlength=tf.size(distinct), dtype=tf.float32)
        vectors = tf.gather(self.tower(distinct, counts, training=training), place)
        return [Candidates(*pair) for pair in zip(items, tf.split(vectors, sizes), strict=True)]

    def get_config(self) -> dict[str, Any]:
        parts = {"tower": self.tower, "backbone": self.backbone, "loss": self.sequence_loss}
        saved = {name: tf_keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        return saved | {"scale": self.scale}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SequentialModel:
        return cls(**{name: _made(part) for name, part in config.items()})


def _made(part: Any) -> Any:
    return tf_keras.saving.deserialize_keras_object(part) if isinstance(part, dict) else part
