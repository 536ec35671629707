"""Parts of their own for the items of a trained ranker, on top of what they share."""

from __future__ import annotations

import dataclasses

import numpy as np

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
    part is zero, and it sees histories without own parts (`TwoViews`).

    Args:
        ranker: trained, over the pieces of Semantic IDs.
        rows: int [n, num_own], rows of a table of own parts: coarse pieces, or what ids hash to; 0 = none.
        num_rows: of that table, which starts at zero.
        counts: int [n], how often each item was seen.
        half_seen: see `UnifiedEmbedding`.
    """
    shared = ranker.item_embedding
    shared.embedding.trainable = False
    own = PieceEmbedding(num_rows, ranker.config.dim, spread=0.0)
    layer = UnifiedEmbedding(shared.embedding, own, rows.shape[1], "concatenated", half_seen, own_dropout=0.0)
    features = unified_features(shared.features.numpy()[1:], rows, counts)
    grown = Ranker(ranker.config, CatalogueEmbedding.of(features, layer), TwoViews(ranker.attention))
    for to, of in zip([*grown.crosses, grown.tower], [*ranker.crosses, ranker.tower], strict=True):
        to.set_weights(of.get_weights())
        to.trainable = False
    grown.attention.trainable = False
    return grown


def fit_own_parts(title: str, ranker: Ranker, train: Examples, epochs: int = OWN_EPOCHS) -> Ranker:
    """Trains the own parts of what `with_own_parts` made.

    Args:
        title: of the progress bar.
        ranker: its own parts are trained in place; afterwards nothing is frozen.
        train: the examples.
        epochs: passes over them.
    """
    train_ranker(title, ranker, train, dataclasses.replace(ranker.config, epochs=epochs))
    for layer in ranker.layers:
        layer.trainable = True
    return ranker
