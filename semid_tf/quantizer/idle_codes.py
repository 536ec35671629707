"""Puts codes that no item has where they are needed most."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from semid_tf.config import CodeSpace
from semid_tf.data.embedding_source import WeightedRows
from semid_tf.quantizer.base import Quantizer
from semid_tf.quantizer.chunks import in_chunks
from semid_tf.quantizer.metrics import code_counts
from semid_tf.quantizer.nearest import nearest_of, squared_gaps
from semid_tf.quantizer.survey import some_of

# Of the mean squared length: what rounding leaves.
_NOTHING = 1e-9
# A beam costs many times as much as greedy search.
_ITEMS_A_CODE, _ROUNDS = 20, 3
_HALVINGS, _PART_OF_THE_WAY = 8, 0.3


def use_idle_codes(model: Quantizer, items: WeightedRows) -> int:
    """Moves codes that none of the items has to where their level leaves most.

    Each takes half of the items of another code. Where the model searches by a beam it moves onto what its
    level has to code of one of the worst coded items, whose code it then may be: of a draw of 20 items a
    code, coded up to three times.

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
        moved += _use_level(model, level, WeightedRows(inputs, items.weights), least)
        words = model.quantizer.codebook(level).numpy()
        left = entered.numpy() - words[nearest_of(inputs)(words)]
    return moved


def _use_level(model: Quantizer, level: int, inputs: WeightedRows, least: float) -> int:
    """Halves codes, those that leave most first, until none is idle; each time at most all in use."""
    nearest_to, moved = nearest_of(inputs.embeddings), 0
    for _ in range(_HALVINGS):
        words = model.quantizer.codebook(level).numpy()
        codes = nearest_to(words)
        idle = np.flatnonzero(np.bincount(codes, minlength=len(words)) == 0)
        halves = list(itertools.islice(_halves(inputs, words, codes, least), len(idle)))
        if not halves:
            break
        places = np.stack([np.full(len(halves), level), idle[: len(halves)]], axis=1)
        _move(model, places, np.stack(halves))
        moved += len(halves)
    return moved


def _halves(inputs: WeightedRows, words: np.ndarray, codes: np.ndarray, least: float) -> Iterator[np.ndarray]:
    """Codewords a third of the way to the mean of those items of a code that lie on its worst one's side.

    A trained decoder has met words so near by; one on a far item it may restore as anything.
    """
    rows = inputs.embeddings
    gaps = inputs.weights * squared_gaps(rows, words, codes)
    totals = np.bincount(codes, weights=gaps, minlength=len(words))
    for code in _worst(totals, len(words), least):
        members = np.flatnonzero(codes == code)
        around = rows[members] - words[code]
        side = around @ around[np.argmax(gaps[members])] > 0
        if not side.all():
            mean = np.average(around[side], axis=0, weights=inputs.weights[members][side])
            yield words[code] + _PART_OF_THE_WAY * mean
