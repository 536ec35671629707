"""Items with the codes they were given: what is published, and what the next run must not move."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from semid_tf.data import item_indices, schema
from semid_tf.errors import ArtifactError, CodesError, DataError, ProvenanceError
from semid_tf.ids.semantic_id import SEPARATOR, format_semantic_id

_QUANTIZER = "quantizer"
_PARTS = "codes"  # the folder of them in an output of the encode job


@dataclass(frozen=True, eq=False)
class ItemCodes:
    """Items and their codes, each item once. The rows may stand in any order.

    Attributes:
        item_ids: strings, object [n].
        codes: int32 [n, num_levels], none negative.
        quantizer: fingerprint of the quantizer whose codes they are; "" = not told.

    >>> published = ItemCodes(np.array(["a", "b"], object), np.array([[1, 2], [3, 4]], np.int32))
    >>> published.rows_of(np.array(["b", "nobody"], object))
    array([ 1, -1], dtype=int32)

    Raises:
        DataError: lengths differ, an id is no string or occurs twice.
        CodesError: codes are no integers [n, num_levels], or one is negative.
    """

    item_ids: np.ndarray
    codes: np.ndarray
    quantizer: str = ""

    def __post_init__(self) -> None:
        _require_ids(self.item_ids)
        if self.codes.ndim != 2 or self.codes.dtype.kind not in "iu":
            found = f"{self.codes.dtype} {list(self.codes.shape)}"
            raise CodesError(f"codes are {found}; integers [items, levels] are needed.")
        if len(self.item_ids) != len(self.codes):
            raise DataError(
                f"{len(self.item_ids)} item_ids meet {len(self.codes)} rows of codes; both must agree."
            )
        if self.codes.min(initial=0) < 0:
            row, level = np.argwhere(self.codes < 0)[0]
            raise CodesError(f"codes[{row}, {level}] is {self.codes[row, level]}; codes begin at 0.")

    def __len__(self) -> int:
        return len(self.item_ids)

    @property
    def num_levels(self) -> int:
        """Codes of each item."""
        return int(self.codes.shape[1])

    def rows_of(self, item_ids: np.ndarray) -> np.ndarray:
        """Row of each item: int32 [n], -1 for unknown ones."""
        return item_indices(self.item_ids, item_ids) - np.int32(1)

    @cached_property
    def id_order(self) -> np.ndarray:
        """Rows in the order of their item ids, by code points: int64 [n]. What goes by it is the same for any
        order of the rows."""
        return pc.sort_indices(_text(self.item_ids)).to_numpy().astype(np.int64)

    def with_codes(self, codes: np.ndarray, quantizer: str) -> ItemCodes:
        """The same items with other codes, int32 [n, num_levels], none negative."""
        other = copy.copy(self)
        # The ids were checked and perhaps sorted; both take longer than most of what is done with codes.
        other.__dict__.update(codes=codes, quantizer=quantizer)
        return other

    def require_quantizer_of(self, published: ItemCodes) -> None:
        """Refuses codes of another quantizer where both are known.

        Raises:
            ProvenanceError: names both fingerprints.
        """
        if self.quantizer and published.quantizer and self.quantizer != published.quantizer:
            raise ProvenanceError(
                f"the codes are of quantizer {self.quantizer}, the published ones of {published.quantizer}; "
                "encode with the published quantizer, or publish anew."
            )

    def extended(self, newer: ItemCodes) -> ItemCodes:
        """These items, then those of `newer` that are not here: what to publish next.

        Items that are not in `newer` stay, so that what was given to them is not given again.

        Raises:
            CodesError: an item of both has other codes there; published codes never move.
            ProvenanceError: `newer` is of another quantizer.
        """
        newer.require_quantizer_of(self)
        require_levels(newer, self.num_levels, "the published codes have")
        rows = self.rows_of(newer.item_ids)
        known = np.flatnonzero(rows >= 0)
        moved = known[(self.codes[rows[known]] != newer.codes[known]).any(axis=1)]
        if len(moved):
            row = int(moved[0])
            before, now = map(format_semantic_id, (self.codes[rows[row]], newer.codes[row]))
            raise CodesError(
                f"item {newer.item_ids[row]!r} is published as {before}, but is {now} now; pass the "
                "published codes when new ones are given."
            )
        new = rows < 0
        return ItemCodes(
            np.concatenate([self.item_ids, newer.item_ids[new]]),
            np.concatenate([self.codes, newer.codes[new]]),
            self.quantizer or newer.quantizer,
        )

    def save(self, path: str | Path) -> None:
        """Writes one Parquet file, whole or not at all: item_id, codes, semantic_id, quantizer."""
        target = Path(path)
        staged = target.with_name(f".{target.name}-{os.getpid()}")
        pq.write_table(self._table(), staged)
        staged.replace(target)

    def _table(self) -> pa.Table:
        codes = pa.array(np.ascontiguousarray(self.codes, np.int32).ravel())
        columns = {
            schema.ITEM_ID: _text(self.item_ids),
            schema.CODES: pa.FixedSizeListArray.from_arrays(codes, self.num_levels),
            schema.SEMANTIC_ID: _semantic_ids(self.codes),
            _QUANTIZER: pa.array([self.quantizer] * len(self), pa.string()),
        }
        return pa.table(columns)

    @classmethod
    def load(cls, path: str | Path) -> ItemCodes:
        """Reads what `save` wrote, or the codes that the encode job published.

        Args:
            path: a file, or the output folder of the encode job.

        Raises:
            ArtifactError: there is no such file, or it is another one.
            ProvenanceError: rows are of more than one quantizer.
        """
        parts = Path(path) / _PARTS
        try:
            table = pq.read_table(
                parts if parts.is_dir() else path, columns=[schema.ITEM_ID, schema.CODES, _QUANTIZER]
            )
            ids = table[schema.ITEM_ID].to_numpy(zero_copy_only=False).astype(object)
            codes = _matrix(table[schema.CODES].combine_chunks())
        except (OSError, pa.ArrowException, AttributeError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"{path} holds no item codes; give a file that ItemCodes.save wrote, or the output of the "
                "encode job."
            ) from error
        quantizers = sorted(pc.unique(table[_QUANTIZER]).to_pylist())
        if len(quantizers) > 1:
            raise ProvenanceError(
                f"{path} mixes codes of {', '.join(quantizers)}; it must be one quantizer's."
            )
        return cls(ids, codes, "".join(quantizers))


def require_levels(items: ItemCodes, num_levels: int, what: str) -> None:
    """Refuses codes of another number of levels.

    Raises:
        CodesError: says both numbers.
    """
    if items.num_levels != num_levels:
        raise CodesError(f"codes have {items.num_levels} levels, {what} {num_levels}; both must agree.")


def _matrix(column: pa.Array) -> np.ndarray:
    """Lists of one length, [n, length]."""
    if pa.types.is_fixed_size_list(column.type):
        length = column.type.list_size
    else:
        (length,) = column.value_lengths().unique().to_pylist() or [0]
    return column.flatten().to_numpy().reshape(-1, length)


def _text(item_ids: np.ndarray) -> pa.Array:
    return pa.array(item_ids, pa.large_string())


def _require_ids(item_ids: np.ndarray) -> None:
    try:
        text = _text(item_ids)
    except (pa.ArrowException, TypeError) as error:
        raise DataError("item_ids must be strings; make text of them first.") from error
    if text.null_count:
        raise DataError(f"item_ids[{text.is_null().to_numpy(zero_copy_only=False).argmax()}] is missing.")
    if pc.count_distinct(text).as_py() < len(text):
        counts = pc.value_counts(text)
        twice = counts.field("values")[int(np.argmax(counts.field("counts").to_numpy()))]
        raise DataError(f"item_ids must be unique; {twice.as_py()!r} occurs more than once.")


def _semantic_ids(codes: np.ndarray) -> pa.Array:
    levels = [pa.array(level).cast(pa.string()) for level in np.ascontiguousarray(codes.T)]
    return pc.binary_join_element_wise(*levels, SEPARATOR)
