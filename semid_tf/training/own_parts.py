"""Parts of their own for the items of a trained ranker, on top of what they share."""

from __future__ import annotations

import dataclasses

import numpy as np

from semid_tf.config import RankerConfig
from semid_tf.data import Examples
from semid_tf.layers import CatalogueEmbedding, PieceEmbedding, UnifiedEmbedding, unified_features
from semid_tf.models import Ranker, TwoViews
from semid_tf.training.ranker import train_ranker

#: Passes over the examples that own parts take.
OWN_EPOCHS = 2


def with_own_parts(
    ranker: Ranker, rows: np.ndarray, num_rows: int, counts: np.ndarray, half_seen: float
) -> Ranker:
    """A ranker whose items have an own part beside what they share; only that part is left to be trained.

    An item never seen ranks exactly as with the given ranker, whose weights are shared and frozen: its own
    part is zero, and it sees histories without own parts (`TwoViews`). Context and tasks are the given ones.

    Args:
        ranker: trained, over the pieces of Semantic IDs.
        rows: int [n, num_own], rows of a table of own parts: coarse pieces, or what ids hash to; 0 = none.
        num_rows: of that table, which starts at zero.
        counts: int [n], how often each item was seen.
        half_seen: see `UnifiedEmbedding`.
    """
    shared = ranker.item_embedding
    own = PieceEmbedding(num_rows, ranker.config.dim, spread=0.0)
    layer = UnifiedEmbedding(shared.embedding, own, rows.shape[1], "concatenated", half_seen, own_dropout=0.0)
    features = unified_features(shared.features.numpy()[1:], rows, counts)
    grown = ranker.over(CatalogueEmbedding.of(features, layer), TwoViews(ranker.attention))
    _freeze_shared(grown)
    return grown


def fit_own_parts(title: str, ranker: Ranker, train: Examples, epochs: int = OWN_EPOCHS) -> Ranker:
    """Trains the own parts of what `with_own_parts` made.

    Args:
        title: of the progress bar.
        ranker: its own parts are trained in place; afterwards nothing is frozen.
        train: the examples.
        epochs: passes over them.
    """
    return _train_own(title, ranker, train, dataclasses.replace(ranker.config, epochs=epochs))


def train_with_own_parts(title: str, ranker: Ranker, train: Examples, config: RankerConfig) -> Ranker:
    """Goes on training what `with_own_parts` made, in place: shared parts as well as own ones.

    First what items share is trained as if none had an own part, then, with that frozen, own parts on top of
    it. So an item never seen ranks exactly as with the shared parts, trained on alone.

    Args:
        title: of the progress bars.
        ranker: afterwards nothing is frozen.
        train: the examples.
        config: of both trainings.

    Raises:
        DataError, TrainingError: see `train_ranker`.
    """
    _freeze_nothing(ranker)
    layer = ranker.item_embedding.embedding
    dropout, layer.own_dropout = layer.own_dropout, 1.0
    try:
        train_ranker(f"{title}, shared", ranker, train, config)
    finally:
        layer.own_dropout = dropout
    _freeze_shared(ranker)
    return _train_own(f"{title}, own", ranker, train, config)


def _train_own(title: str, ranker: Ranker, train: Examples, config: RankerConfig) -> Ranker:
    train_ranker(title, ranker, train, config)
    _freeze_nothing(ranker)
    return ranker


def _freeze_shared(ranker: Ranker) -> None:
    for layer in ranker.layers:
        layer.trainable = layer is ranker.item_embedding
    ranker.item_embedding.embedding.semantic.trainable = False


def _freeze_nothing(ranker: Ranker) -> None:
    for layer in ranker.layers:
        layer.trainable = True
