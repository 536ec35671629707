"""A trained sequence model with a fraction of its item memory."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.layers import ContentToken, ItemTower, ProductToken
from semid_tf.models import SequentialModel


def compact_items(
    model: SequentialModel, counts: np.ndarray, num_parts: int, codebook_size: int = 256, seed: int = 0
) -> SequentialModel:
    """The same model, its items' vectors kept as product codes (Jegou et al. 2011), nothing trained again.

    With two numbers a part and 256 rows a codebook, vectors of 64 numbers cost 32 bytes an item instead of
    256 in the model and its file, and rank all but alike; `NextItems` holds them as float32 again. An item
    that is new later stands by its content alone where the first of the given model's tokens is a
    `ContentToken`, and else is zero. It borrows no IDs, even where the given model's tower has `neighbours`:
    whom to borrow from is told by the content of all items, which is not kept.

    Args:
        model: trained; its backbone and loss are shared with the result.
        counts: int [num_items], how often training saw each item: a frequent item is kept more exactly.
        num_parts: bytes an item; divides the model's width.
        codebook_size: rows of each part's codebook; above 256 a code costs four bytes.
        seed: fixes the start of k-means.

    Raises:
        ConfigError: `num_parts` does not divide the model's width.
    """
    vectors = model.vectors(tf.range(1, len(counts) + 1)).numpy()
    encoder = _encoder(model.tower.tokens[0])
    token = ProductToken.of(vectors, counts + 1, num_parts, codebook_size, encoder, seed)
    return SequentialModel(ItemTower([token]), model.backbone, model.sequence_loss, model.scale)


def _encoder(token: tf_keras.layers.Layer) -> tf_keras.layers.Layer | None:
    return token.encoder if isinstance(token, ContentToken) else None
