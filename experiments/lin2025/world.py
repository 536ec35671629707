"""The data of an experiment, and the same with a share of the items held out of training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

import semid_tf as sid

_COLD_SHARE = 0.1


@dataclass(frozen=True)
class World:
    """What all runs share.

    Attributes:
        embeddings: float32 [num_items, embedding_dim].
        sequences: all events.
        split: leave-one-out.
        cold: bool [num_items], items held out of training.
    """

    embeddings: np.ndarray
    sequences: sid.Sequences
    split: sid.LeaveOneOut
    cold: np.ndarray

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
    """Reads both tables; interactions of unknown items are left out."""
    table = sid.read_items(items)
    events, _ = sid.drop_unknown(sid.read_interactions(interactions), table.item_ids)
    sequences = sid.user_sequences(table.item_ids, events)
    embeddings = table.embeddings.astype(np.float32)
    return World(embeddings, sequences, sid.leave_one_out(sequences), np.zeros(len(embeddings), bool))


def without_cold(world: World, seed: int) -> World:
    """A random tenth of the items held out of training and of what training is judged by.

    Histories that are tested keep them: content is all that is known of them there too.
    """
    cold = np.random.default_rng(seed).random(world.num_items) < _COLD_SHARE
    split, events = world.split, ~cold[world.split.train.items - 1]
    held_out = replace(world, cold=cold)
    train, validation = split.train.keeping(events), held_out.warm(split.validation)
    return replace(held_out, split=split._replace(train=train, validation=validation))
