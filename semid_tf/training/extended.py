"""A trained ranker over a catalogue that grew."""

from __future__ import annotations

import numpy as np

from semid_tf.errors import ProvenanceError
from semid_tf.layers import CatalogueEmbedding, UnifiedEmbedding
from semid_tf.models import Ranker


def extended_ranker(ranker: Ranker, features: np.ndarray) -> Ranker:
    """The same ranker over more items; its item layer, attention and context are shared with the given one.

    Args:
        ranker: trained.
        features: [n, ...], of all items as they are now, such as pieces of their codes; first those of the
            items that the ranker knows, in their places. A `UnifiedEmbedding` may be told other counts.

    Raises:
        ProvenanceError: the first items are not those of the ranker.
    """
    catalogue = ranker.item_embedding
    known = catalogue.features.numpy()[1:]
    if len(features) < len(known) or features.shape[1:] != known.shape[1:]:
        raise ProvenanceError(
            f"the ranker knows {len(known)} items of {list(known.shape[1:])} features, the catalogue has "
            f"{len(features)} of {list(features.shape[1:])}; it must be the ranker's own, or have grown."
        )
    same = features[: len(known)] == known
    if isinstance(catalogue.embedding, UnifiedEmbedding):
        same = same[:, :-1]
    if not same.all():
        raise ProvenanceError(
            f"row {np.argwhere(~same)[0][0]} of the catalogue is not the item that the ranker knows there; "
            "known items keep their places, codes and pieces, new ones stand behind them."
        )
    return ranker.over(CatalogueEmbedding.of(features.astype(known.dtype), catalogue.embedding))
