"""A dead code moves onto a random residual of its level (SoundStream, Zeghidour et al. 2021, sec. III-C)."""

from __future__ import annotations

import tensorflow as tf

from semid_tf.quantizer.replicas import global_column, global_take, update_rows
from semid_tf.quantizer.residual import Quantized, ResidualQuantizer


def revive(
    quantizer: ResidualQuantizer, dead: tf.Tensor, quantized: Quantized, weights: tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
    """Moves dead codes onto inputs of their level, each of another item as long as there are items enough.

    Items are drawn from the whole batch, over all replicas, so that all move their codes alike. Items of
    weight 0 are never drawn; where all weigh 0, nothing moves.

    Args:
        quantizer: its codebooks are changed.
        dead: bool [num_levels, largest codebook], the same on each replica.
        quantized: what the quantizer made of this replica's share of the batch.
        weights: float32 [n] of the share.
        seed: int32 [2]; fixes the draw.

    Returns:
        Which codes moved, bool of the shape of `dead`.
    """
    items = _shuffled_items(global_column(weights), seed)
    moved = dead & (tf.shape(items)[0] > 0)
    places = tf.cast(tf.where(moved), tf.int32)
    drawn = tf.gather(items, tf.range(tf.shape(places)[0]) % tf.maximum(tf.shape(items)[0], 1))
    update_rows(quantizer.codebooks, places, global_take(quantized.inputs, places[:, 0], drawn))
    return moved


def _shuffled_items(weights: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Items of positive weight in random order: int32 [m]."""
    order = tf.argsort(tf.random.stateless_uniform(tf.shape(weights), seed))
    return tf.boolean_mask(order, tf.gather(weights, order) > 0)
