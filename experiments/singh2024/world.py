"""What all runs share: tables, examples, and codes of three quantizers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

import semid_tf as sid
from experiments.singh2024.settings import Settings
from semid_tf.artifacts import fingerprint
from semid_tf.data import item_indices, split_time

_BLOCK = 16_384


class World(NamedTuple):
    """Data and codes.

    Attributes:
        items: the catalogue.
        splits: examples.
        codes: int32 [num_items, num_levels] by quantizer: `all`, `first`, `second`.
        figures: of data and quantizers.
    """

    items: sid.Items
    splits: sid.Splits
    codes: Mapping[str, np.ndarray]
    figures: dict[str, Any]


def prepare(settings: Settings) -> World:
    """Reads the tables, draws the examples and fits the quantizers."""
    items, interactions = sid.read_items(settings.items), sid.read_interactions(settings.interactions)
    interactions, unknown = sid.drop_unknown(interactions, items.item_ids)
    if settings.before_test:
        interactions = _before(interactions, settings.data.train_share)
    splits = sid.ranking_examples(items.item_ids, interactions, settings.data)
    training = interactions.take(interactions.timestamps < splits.boundary)
    counts = {"all": splits.item_counts} | _counts_by_half(items, training)
    codes = {name: _codes(items.embeddings, seen, settings.quantizer) for name, seen in counts.items()}
    figures = {
        "items": len(items),
        "interactions": len(interactions),
        "interactions_of_unknown_items": unknown,
        "train": len(splits.train),
        "test": len(splits.test),
        "cold_items": int((splits.item_counts == 0).sum()),
        "unique_rate": sid.unique_rate(codes["all"]),
        "prefix_cosines": _cosines(items.embeddings, codes["all"]),
        "subtrie_sizes": sid.subtrie_sizes(codes["all"]).tolist(),
        "prefix_stability": sid.prefix_stability(codes["first"], codes["second"]),
    }
    return World(items, splits, codes, figures)


def identity(world: World, settings: Settings) -> dict[str, Any]:
    """What runs of one experiment have in common."""
    # Methods, sizes and seeds are those of each run; the files' places say nothing.
    varied = ("items", "interactions", "methods", "table_rows", "seeds")
    kept = {name: value for name, value in dataclasses.asdict(settings).items() if name not in varied}
    examples = (vars(part).values() for part in (world.splits.train, world.splits.test))
    data = fingerprint(*(array for arrays in examples for array in arrays))
    return kept | {"examples": data, "codes": fingerprint(*world.codes.values())}


def _before(interactions: sid.Interactions, share: float) -> sid.Interactions:
    return interactions.take(interactions.timestamps < split_time(interactions.timestamps, share))


def _counts_by_half(items: sid.Items, training: sid.Interactions) -> dict[str, np.ndarray]:
    """How often each item was met in the first and in the second half of the training period."""
    middle = split_time(training.timestamps, 0.5)
    halves = {"first": training.timestamps < middle, "second": training.timestamps >= middle}
    return {name: _counts(items, training.take(rows)) for name, rows in halves.items()}


def _counts(items: sid.Items, interactions: sid.Interactions) -> np.ndarray:
    return np.bincount(item_indices(items.item_ids, interactions.item_ids) - 1, minlength=len(items))


def _cosines(embeddings: np.ndarray, codes: np.ndarray) -> list[float | None]:
    """By shared prefix; an embedding of zeros has no direction, and None is where no two items share one."""
    some = embeddings.any(axis=1)
    cosines = sid.prefix_cosines(embeddings[some], codes[some])
    return [None if math.isnan(cosine) else cosine for cosine in cosines]


def _codes(embeddings: np.ndarray, seen: np.ndarray, config: sid.RQVAEConfig) -> np.ndarray:
    """Codes of the whole catalogue by an RQ-VAE that learned from the items seen."""
    known = seen > 0
    model = sid.fit_rqvae(embeddings[known], seen[known] ** config.item_weight_power, config)
    blocks = (embeddings[start : start + _BLOCK] for start in range(0, len(embeddings), _BLOCK))
    return np.concatenate([model.encode(block).numpy() for block in blocks])
