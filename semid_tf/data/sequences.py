"""Each user's events in order, and the last two of them held out (leave-one-out)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semid_tf.data.tables import Interactions, index_users, known_items
from semid_tf.errors import DataError


class Sequences(NamedTuple):
    """What users did, one after the other.

    Attributes:
        items: int32 [num_events], item_index; all events of user 0, then all of user 1, ...
        starts: int64 [num_users + 1]; user u has `items[starts[u]:starts[u + 1]]`.
    """

    items: np.ndarray
    starts: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Events of each user, int64 [num_users]."""
        return np.diff(self.starts)

    def keeping(self, events: np.ndarray) -> Sequences:
        """Without the events that are false in bool [num_events]; a user may be left with none."""
        kept = np.concatenate([[0], np.cumsum(events)])
        return Sequences(self.items[events], kept[self.starts])

    def last(self, users: np.ndarray, length: int) -> np.ndarray:
        """The latest events of some users: int32 [n, length], latest last, padded with 0 on the left."""
        places = self.starts[users + 1, None] - np.arange(length, 0, -1)
        known = places >= self.starts[users, None]
        return np.where(known, self.items[np.where(known, places, 0)], 0).astype(np.int32)


class Targets(NamedTuple):
    """What is to be foretold: for each of some users the event behind his history.

    Attributes:
        users: int64 [n].
        histories: of all users, up to the target.
        items: int32 [n], item_index of the target.
    """

    users: np.ndarray
    histories: Sequences
    items: np.ndarray

    def take(self, rows: np.ndarray) -> Targets:
        """Some of them."""
        return self._replace(users=self.users[rows], items=self.items[rows])


class LeaveOneOut(NamedTuple):
    """The usual split of short sequences: the last event tests, the one before validates.

    Users with fewer than three events only train; those with one event teach nothing and are never asked for.
    """

    train: Sequences
    validation: Targets
    test: Targets


def user_sequences(item_ids: np.ndarray, interactions: Interactions) -> Sequences:
    """Sorts the events by user, time, position (where there is one) and row: ties keep their order.

    Args:
        item_ids: object [num_items] of str, the item table's.
        interactions: of known items (see `drop_unknown`), without labels or with labels 1.

    Raises:
        DataError: an unknown item; an event with label 0.
    """
    items = known_items(item_ids, interactions)
    if interactions.labels is not None and not interactions.labels.all():
        row = int(np.argmin(interactions.labels))
        raise DataError(f"interaction {row} has label 0; a sequence holds only what users chose, label 1.")
    users, times = index_users(interactions), interactions.timestamps
    places = interactions.positions
    order = np.lexsort((times, users.indices) if places is None else (places, times, users.indices))
    counts = np.bincount(users.indices, minlength=len(users.user_ids))
    return Sequences(items[order], np.concatenate([[0], np.cumsum(counts)]))


def leave_one_out(sequences: Sequences) -> LeaveOneOut:
    """Splits off the last event and the one before it, of each user with three events or more."""
    asked = np.flatnonzero(sequences.lengths >= 3)
    last = sequences.starts[asked + 1] - 1
    train = _without(sequences, np.concatenate([last - 1, last]))
    return LeaveOneOut(
        train,
        Targets(asked, train, sequences.items[last - 1]),
        Targets(asked, _without(sequences, last), sequences.items[last]),
    )


def _without(sequences: Sequences, events: np.ndarray) -> Sequences:
    kept = np.ones(len(sequences.items), bool)
    kept[events] = False
    return sequences.keeping(kept)
