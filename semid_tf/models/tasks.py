"""What a ranker learns to tell of a candidate: one task or several."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from semid_tf.errors import ConfigError


@dataclass(frozen=True)
class Task:
    """One label of a candidate.

    Attributes:
        name: such as `click`.
        weight: of its loss among the others.
        kind: `binary`, 0 or 1 by logits; `number`, such as a rating, by squared error.
    """

    name: str
    weight: float = 1.0
    kind: str = "binary"

    def __post_init__(self) -> None:
        if self.kind not in ("binary", "number"):
            raise ConfigError(f"task {self.name!r} must be binary or number, got {self.kind!r}.")
        if not self.weight >= 0:
            raise ConfigError(f"task {self.name!r} must have a weight of at least 0, got {self.weight}.")

    def loss(self, labels: tf.Tensor, outputs: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Mean of weight times loss over all candidates, float32 [n]; a label of NaN weighs nothing."""
        known = tf.math.is_finite(labels)
        labels, weights = tf.where(known, labels, 0.0), tf.where(known, weights, 0.0)
        losses = (
            tf.nn.sigmoid_cross_entropy_with_logits(labels, outputs)
            if self.kind == "binary"
            else tf.math.squared_difference(outputs, labels)
        )
        return self.weight * tf.reduce_mean(losses * weights)


CLICK = Task("click")
