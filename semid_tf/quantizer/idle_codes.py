"""Puts codes that no item has where they are needed most."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from semid_tf.data.embedding_source import WeightedRows
from semid_tf.quantizer.base import Quantizer
from semid_tf.quantizer.chunks import in_chunks
from semid_tf.quantizer.kmeans import nearest_of, squared_gaps

# Of the mean squared length: what rounding leaves.
_NOTHING = 1e-9


def use_idle_codes(model: Quantizer, items: WeightedRows) -> int:
    """Moves codes that none of the items has onto what their level has to code of the worst coded items.

    Each moves onto another item, whose own code it then is. The first level goes first, since its codes
    decide what the later ones have to code.

    Returns:
        How many were moved.
    """
    latent = left = in_chunks(model.latent, items.embeddings)
    least = _NOTHING * np.average(np.square(latent).sum(axis=1))
    moved = 0
    for level, part in enumerate(model.quantizer.assignments):
        entered = part.enter(tf.constant(left))
        inputs = part.inputs(entered).numpy()
        nearest_to = nearest_of(inputs)
        codes = nearest_to(model.quantizer.codebook(level).numpy())
        if of_level := _use_level(model, level, inputs, codes, items.weights, least):
            moved += of_level
            codes = nearest_to(model.quantizer.codebook(level).numpy())
        left = entered.numpy() - model.quantizer.codebook(level).numpy()[codes]
    return moved


def _use_level(
    model: Quantizer, level: int, inputs: np.ndarray, codes: np.ndarray, weights: np.ndarray, least: float
) -> int:
    idle = np.flatnonzero(np.bincount(codes, minlength=model.code_space.codebook_sizes[level]) == 0)
    badness = weights * squared_gaps(inputs, model.quantizer.codebook(level).numpy(), codes)
    worst = np.argsort(-badness, kind="stable")[: len(idle)]
    worst = worst[badness[worst] > least]
    places = np.stack([np.full(len(worst), level), idle[: len(worst)]], axis=1)
    model.quantizer.codebooks.assign(
        tf.tensor_scatter_nd_update(model.quantizer.codebooks, places, inputs[worst])
    )
    return len(worst)
