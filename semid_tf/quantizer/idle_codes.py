"""Puts codes that no item has where they are needed most."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from semid_tf.data.embedding_source import WeightedRows
from semid_tf.quantizer.base import Quantizer
from semid_tf.quantizer.kmeans import squared_gaps

_CHUNK = 8192
# Of the mean squared length: what rounding leaves.
_NOTHING = 1e-9


def use_idle_codes(model: Quantizer, items: WeightedRows) -> int:
    """Moves codes that none of the items has onto what their level has to code of the worst coded items.

    Each moves onto another item, whose own code it then is. The first level goes first, since its codes
    decide what the later ones have to code.

    Returns:
        How many were moved.
    """
    latent = _latent(model, items.embeddings)
    return sum(
        _use_level(model, level, latent, items.weights) for level in range(model.code_space.num_levels)
    )


def _use_level(model: Quantizer, level: int, latent: np.ndarray, weights: np.ndarray) -> int:
    size = model.code_space.codebook_sizes[level]
    inputs, codes = _at_level(model, level, latent)
    idle = np.flatnonzero(np.bincount(codes, minlength=size) == 0)
    if not len(idle):
        return 0
    badness = weights * squared_gaps(inputs, model.quantizer.codebook(level).numpy(), codes)
    worst = np.argsort(-badness, kind="stable")[: len(idle)]
    worst = worst[badness[worst] > _NOTHING * np.average(np.square(latent).sum(axis=1))]
    places = np.stack([np.full(len(worst), level), idle[: len(worst)]], axis=1)
    model.quantizer.codebooks.assign(
        tf.tensor_scatter_nd_update(model.quantizer.codebooks, places, inputs[worst])
    )
    return len(worst)


def _latent(model: Quantizer, embeddings: np.ndarray) -> np.ndarray:
    chunks = range(0, len(embeddings), _CHUNK)
    return np.concatenate([model.latent(embeddings[i : i + _CHUNK]).numpy() for i in chunks])


def _at_level(model: Quantizer, level: int, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a level holds against its codewords, and the codes."""
    inputs, codes = [], []
    for i in range(0, len(latent), _CHUNK):
        quantized = model.quantizer(latent[i : i + _CHUNK])
        inputs.append(quantized.inputs[level].numpy())
        codes.append(quantized.codes[:, level].numpy())
    return np.concatenate(inputs), np.concatenate(codes)
