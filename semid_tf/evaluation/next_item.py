"""Where a sequence model ranks the next item: among all items, and among some that the user never touched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from semid_tf.data.sequences import Sequences, Targets
from semid_tf.errors import DataError
from semid_tf.evaluation.ranking import ranks_of
from semid_tf.models import SequenceScorer

_BATCH = 512
_STEP = 8  # lengths are rounded up to a multiple, so that few shapes are traced


class NextItemRanks(NamedTuple):
    """Rank of the wanted item of each target, int64 [n], 0 = first; see `ranks_of`.

    Attributes:
        full: among all items.
        full_masked: among all items but those of the history.
        sampled: among `negatives`; all -1 where there are none.
    """

    full: np.ndarray
    full_masked: np.ndarray
    sampled: np.ndarray


def next_item_ranks(
    model: SequenceScorer, targets: Targets, num_items: int, negatives: np.ndarray | None = None
) -> NextItemRanks:
    """Ranks all targets.

    Args:
        model: scores the items.
        targets: n histories and what came next.
        num_items: of the catalogue.
        negatives: int32 [n, k], item indices that the wanted item is ranked among; see `draw_unseen`.
    """
    ranks = np.full((3, len(targets.items)), -1)
    for rows, scores in scored_batches(model, targets, num_items):
        wanted = targets.items[rows] - 1
        ranks[0, rows] = ranks_of(scores, wanted)
        ranks[1, rows] = ranks_of(scores, wanted, _seen(targets, rows, num_items))
        if negatives is not None:
            columns = np.concatenate([wanted[:, None], negatives[rows] - 1], axis=1)
            ranks[2, rows] = ranks_of(np.take_along_axis(scores, columns, axis=1), np.zeros_like(wanted))
    return NextItemRanks(*ranks)


def masked_ranks(model: SequenceScorer, targets: Targets, num_items: int) -> np.ndarray:
    """`full_masked` of `next_item_ranks` alone, at half the cost."""
    ranks = np.full(len(targets.items), -1)
    for rows, scores in scored_batches(model, targets, num_items):
        ranks[rows] = ranks_of(scores, targets.items[rows] - 1, _seen(targets, rows, num_items))
    return ranks


def scored_batches(
    model: SequenceScorer, targets: Targets, num_items: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of targets and scores of all items for them, float32 [b, num_items]; short histories first."""
    vectors = model.vectors(tf.range(num_items + 1))
    longest, lengths = model.max_length, targets.histories.lengths[targets.users]
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        length = min(-(-int(lengths[rows].max()) // _STEP) * _STEP, longest)
        histories = targets.histories.last(targets.users[rows], length)
        yield rows, _scores(model, tf.constant(histories), vectors).numpy()


@tf.function(reduce_retracing=True)
def _scores(model: SequenceScorer, histories: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    state = model.of_vectors(tf.gather(vectors, histories), histories > 0)
    return tf.matmul(state, vectors[1:], transpose_b=True)


def _seen(targets: Targets, rows: np.ndarray, num_items: int) -> np.ndarray:
    seen, (items, starts) = np.zeros((len(rows), num_items), bool), targets.histories
    for row, user in enumerate(targets.users[rows]):
        seen[row, items[starts[user] : starts[user + 1]] - 1] = True
    return seen


def draw_unseen(sequences: Sequences, users: np.ndarray, num_items: int, count: int, seed: int) -> np.ndarray:
    """For each user `count` different items that he never touched, drawn uniformly: int32 [n, count].

    Args:
        sequences: all that is known of the users, what is to be foretold included.
        users: int [n].
        num_items: of the catalogue; at least `count` more than any of the users touched.
        count: of each user's items.
        seed: fixes the draws.

    Raises:
        DataError: a user left fewer than `count` items untouched.
    """
    random = np.random.default_rng(seed)
    drawn = np.empty((len(users), count), np.int32)
    for row, user in enumerate(users):
        touched = sequences.items[sequences.starts[user] : sequences.starts[user + 1]]
        candidates = random.choice(num_items, min(count + len(touched), num_items), replace=False) + 1
        unseen = candidates[~np.isin(candidates, touched)]
        if len(unseen) < count:
            raise DataError(
                f"user {user} left {len(unseen)} of the {num_items} items untouched, {count} are to be "
                "drawn; draw fewer, or give a larger catalogue."
            )
        drawn[row] = unseen[:count]
    return drawn
