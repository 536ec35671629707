"""Puts codes that no item has where they are needed most."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from semid_tf.config import CodeSpace
from semid_tf.data.embedding_source import WeightedRows
from semid_tf.quantizer.base import Quantizer
from semid_tf.quantizer.chunks import in_chunks
from semid_tf.quantizer.kmeans import nearest_of, squared_gaps
from semid_tf.quantizer.metrics import code_counts
from semid_tf.quantizer.survey import some_of

# Of the mean squared length: what rounding leaves.
_NOTHING = 1e-9
# A beam costs many times as much as greedy search.
_ITEMS_A_CODE, _ROUNDS = 20, 3


def use_idle_codes(model: Quantizer, items: WeightedRows) -> int:
    """Moves codes that none of the items has onto what their level has to code of the worst coded items.

    Each moves onto another item, whose own code it then is, or may be if the model searches by a beam: then
    what counts is a draw of 20 items a code, coded up to three times.

    Returns:
        How many were moved.
    """
    if model.beam_width > 1:
        return _by_beam(model, some_of(items, _ITEMS_A_CODE * model.code_space.largest, model.config.seed))
    return _level_by_level(model, items)


def _by_beam(model: Quantizer, items: WeightedRows) -> int:
    latent = in_chunks(model.latent, items.embeddings)
    space, moved = model.code_space, 0
    encode = tf.function(lambda rows: model.quantizer.encode(rows, model.beam_width), autograph=False)
    for _ in range(_ROUNDS):
        codes = in_chunks(encode, latent)
        idle = _idle(codes, space)
        if not len(idle):
            break
        left = latent - in_chunks(model.quantizer.decode, codes)
        worst = _worst(items.weights * np.square(left).sum(axis=1), len(idle), _least(latent))
        places = idle[: len(worst)]
        words = model.quantizer.codebooks.numpy()[places[:, 0], codes[worst, places[:, 0]]]
        _move(model, places, left[worst] + words)
        moved += len(worst)
    return moved


def _idle(codes: np.ndarray, space: CodeSpace) -> np.ndarray:
    """Level and code of all codes that no row has, int64 [idle, 2]."""
    counts, sizes = code_counts(codes, space), np.array(space.codebook_sizes)
    return np.argwhere((counts == 0) & (np.arange(space.largest) < sizes[:, None]))


def _worst(badness: np.ndarray, most: int, least: float) -> np.ndarray:
    """The items of the greatest badness above `least`, at most so many, the worst first."""
    worst = np.argsort(-badness, kind="stable")[:most]
    return worst[badness[worst] > least]


def _least(latent: np.ndarray) -> float:
    return _NOTHING * float(np.average(np.square(latent).sum(axis=1)))


def _move(model: Quantizer, places: np.ndarray, words: np.ndarray) -> None:
    books = model.quantizer.codebooks
    books.assign(tf.tensor_scatter_nd_update(books, places, words))


def _level_by_level(model: Quantizer, items: WeightedRows) -> int:
    """The first level goes first, since its codes decide what the later ones have to code."""
    latent = left = in_chunks(model.latent, items.embeddings)
    least = _least(latent)
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
    gaps = squared_gaps(inputs, model.quantizer.codebook(level).numpy(), codes)
    worst = _worst(weights * gaps, len(idle), least)
    places = np.stack([np.full(len(worst), level), idle[: len(worst)]], axis=1)
    _move(model, places, inputs[worst])
    return len(worst)
