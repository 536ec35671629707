"""What stands before items are given codes: published ones keep theirs, new ones wait in order of ids."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semid_tf.ids.item_codes import ItemCodes, require_levels


class Standing(NamedTuple):
    """Where things stand before new items are given codes.

    Attributes:
        published: all that was given before.
        codes: int32 [n, num_levels]; the published codes of the items that have some, 0 elsewhere.
        new: rows of the items that have none, in the order of their ids.
        quantizer: whose codes they are.
    """

    published: ItemCodes
    codes: np.ndarray
    new: np.ndarray
    quantizer: str


def standing(items: ItemCodes, published: ItemCodes | None, num_levels: int, what: str) -> Standing:
    """Finds the items that are published already.

    Args:
        items: the codes of the quantizer.
        published: what was given before, of `num_levels`; None = nothing.
        num_levels: of what is given.
        what: how the levels are called in a message, such as "the published codes have".

    Raises:
        CodesError: the published codes have another number of levels.
        ProvenanceError: they are of another quantizer.
    """
    if published is None:
        published = ItemCodes(items.item_ids[:0], np.zeros((0, num_levels), np.int32), items.quantizer)
    require_levels(published, num_levels, what)
    items.require_quantizer_of(published)
    rows = published.rows_of(items.item_ids)
    codes = np.zeros((len(items), num_levels), np.int32)
    codes[rows >= 0] = published.codes[rows[rows >= 0]]
    order = items.id_order
    return Standing(published, codes, order[rows[order] < 0], items.quantizer or published.quantizer)
