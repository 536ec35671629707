"""The frozen item table: the only road between outside item ids, dense indices and codes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from semid_tf.config import CodeSpace
from semid_tf.errors import DataError
from semid_tf.ids.semantic_id import require_codes

UNKNOWN = 0


@dataclass(frozen=True)
class ItemTable:
    """Items in a fixed order. The index of an item is its row + 1; 0 stands for padding and unknown items.

    Attributes:
        item_ids: strings, object [n], each once.
        codes: int32 [n, num_levels].
        code_space: the range of the codes.

    >>> table = ItemTable(np.array(["a", "b"], object), np.array([[1, 2], [3, 4]], np.int32), CodeSpace(2, 8))
    >>> table.index_of(["b", "nobody"])
    array([2, 0], dtype=int32)

    Raises:
        DataError: lengths differ, or an id occurs twice.
        CodesError: a code is out of range.
    """

    item_ids: np.ndarray
    codes: np.ndarray
    code_space: CodeSpace

    def __post_init__(self) -> None:
        if len(self.item_ids) != len(self.codes):
            raise DataError(
                f"{len(self.item_ids)} item_ids meet {len(self.codes)} rows of codes; both must agree."
            )
        if len(self._index) != len(self.item_ids):
            raise DataError("item_ids must be unique; one of them occurs twice.")
        require_codes(self.codes, self.code_space)

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {item_id: row + 1 for row, item_id in enumerate(self.item_ids)}

    def index_of(self, item_ids: list[str] | np.ndarray) -> np.ndarray:
        """Indices of outside ids: int32 [n], 0 for unknown ones."""
        return np.array([self._index.get(item_id, UNKNOWN) for item_id in item_ids], dtype=np.int32)
