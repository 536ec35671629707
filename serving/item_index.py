"""The item table inside a SavedModel: a vocabulary file, one item id a line."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf

import semid_tf as sid

_UNKNOWN_LINE = -1


class ItemIndex(tf.Module):
    """Item ids, string [...], to item indices, int32 [...]: the row of the table + 1, 0 = padding or unknown.

    The file lives as long as the module, because saving copies it among the assets.

    Args:
        item_ids: each once, in the order of the table.

    Raises:
        DataError: an id cannot be a line of a file.
    """

    def __init__(self, item_ids: Iterable[str]) -> None:
        super().__init__()
        lines = list(item_ids)
        require_lines(lines)
        folder = tempfile.mkdtemp(prefix="semid-items-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        path = Path(folder) / "item_ids.txt"
        path.write_bytes("".join(f"{line}\n" for line in lines).encode())
        self.table = tf.lookup.StaticHashTable(_line_numbers(path, len(lines)), _UNKNOWN_LINE)

    def __call__(self, item_ids: tf.Tensor) -> tf.Tensor:
        return tf.cast(self.table.lookup(item_ids) - _UNKNOWN_LINE, tf.int32)


def _line_numbers(path: Path, count: int) -> tf.lookup.TextFileInitializer:
    index = tf.lookup.TextFileIndex
    return tf.lookup.TextFileInitializer(
        str(path), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER, vocab_size=count
    )


def require_lines(item_ids: list[str]) -> None:
    r"""Checks that every id can be a line of a vocabulary file.

    >>> require_lines(["a", "b\nc"])
    Traceback (most recent call last):
    ...
    semid_tf.errors.DataError: row 1: item id 'b\nc' cannot be served; an id is one line of text.

    Raises:
        DataError: an id is empty, which stands for padding, or holds a line break.
    """
    for row, item_id in enumerate(item_ids):
        if not item_id or "\n" in item_id or "\r" in item_id:
            raise sid.DataError(
                f"row {row}: item id {item_id!r} cannot be served; an id is one line of text."
            )
