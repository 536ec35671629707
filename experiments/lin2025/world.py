"""The data of an experiment, and the same with a share of the items held out of training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import semid_tf as sid
from semid_tf.artifacts import fingerprint

_COLD_SHARE = 0.1


@dataclass(frozen=True)
class World:
    """What all runs share.

    Attributes:
        embeddings: float32 [num_items, embedding_dim].
        sequences: all events.
        split: leave-one-out.
        cold: bool [num_items], items held out of training.
        about: how much data there is, and what of the tables was left out.
    """

    embeddings: np.ndarray
    sequences: sid.Sequences
    split: sid.LeaveOneOut
    cold: np.ndarray
    about: dict[str, int]

    @property
    def identity(self) -> dict[str, Any]:
        """What runs on the same data have in common."""
        return {"data": fingerprint(self.embeddings, *self.sequences)}

    @property
    def num_items(self) -> int:
        """Items of the catalogue."""
        return len(self.embeddings)

    @property
    def counts(self) -> np.ndarray:
        """Events of each item in training, int64 [num_items]."""
        return np.bincount(self.split.train.items - 1, minlength=self.num_items)

    def warm(self, targets: sid.Targets) -> sid.Targets:
        """The targets that are not held out."""
        return targets.take(np.flatnonzero(~self.cold[targets.items - 1]))

    def cold_targets(self, targets: sid.Targets) -> sid.Targets:
        """The targets that are held out."""
        return targets.take(np.flatnonzero(self.cold[targets.items - 1]))


def with_validation(world: World) -> World:
    """Training on all but the last event of each user; nothing is left to validate by."""
    nothing = world.split.validation.take(np.zeros(0, np.int64))
    split = world.split._replace(train=world.split.test.histories, validation=nothing)
    return replace(world, split=split)


def read_world(items: str, interactions: str) -> World:
    """Reads both tables; interactions of label 0 (not chosen) and of unknown items are left out."""
    table, events = sid.read_items(items), sid.read_interactions(interactions)
    chosen = _chosen(events)
    known, unknown = sid.drop_unknown(chosen, table.item_ids)
    sequences = sid.user_sequences(table.item_ids, known)
    embeddings, split = table.embeddings.astype(np.float32), sid.leave_one_out(sequences)
    about = {
        "items": len(table),
        "interactions": len(known),
        "interactions_of_label_0": len(events) - len(chosen),
        "interactions_of_unknown_items": unknown,
        "users": len(sequences.lengths),
        "users_tested": len(split.test.users),
    }
    return World(embeddings, sequences, split, np.zeros(len(embeddings), bool), about)


def _chosen(events: sid.Interactions) -> sid.Interactions:
    if events.labels is None:
        return events
    chosen = events.labels > 0
    if not chosen.any():
        raise sid.DataError(
            f"all {len(events)} interactions have label 0; sequences are made of those with label 1."
        )
    return events.take(chosen)


def without_cold(world: World, seed: int) -> World:
    """A random tenth of the items held out of training and of what training is judged by.

    Histories that are tested keep them: content is all that is known of them there too.
    """
    cold = np.random.default_rng(seed).random(world.num_items) < _COLD_SHARE
    split, events = world.split, ~cold[world.split.train.items - 1]
    held_out = replace(world, cold=cold)
    train, validation = split.train.keeping(events), held_out.warm(split.validation)
    return replace(held_out, split=split._replace(train=train, validation=validation))
