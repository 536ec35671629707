"""What a vocabulary gives for the rows it takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semid_tf.errors import DataError
from semid_tf.tokenization.base import Tokenizer

_HEAD = 0.1


class VocabularyReport(NamedTuple):
    """Rows and pieces (Singh et al. 2024, figure 4).

    Attributes:
        rows_asked, rows: of the table; the data may yield fewer than asked.
        mean_pieces_per_item: over all items alike.
        mean_pieces_per_interaction: over items by how often they were met: the look-ups that serving pays.
        mean_pieces_head: over the most popular tenth of the items.
        mean_pieces_tail: over the others.
    """

    rows_asked: int
    rows: int
    mean_pieces_per_item: float
    mean_pieces_per_interaction: float
    mean_pieces_head: float
    mean_pieces_tail: float


def vocabulary_report(
    tokenizer: Tokenizer, rows_asked: int, codes: np.ndarray, counts: np.ndarray
) -> VocabularyReport:
    """Counts the pieces of each item.

    >>> from semid_tf import CodeSpace, train_sentencepiece
    >>> codes, counts = np.array([[1, 1], [2, 2], [3, 0]]), np.array([98, 2, 0])
    >>> vocabulary_report(train_sentencepiece(codes, counts, CodeSpace(2, 4), 11), 11, codes, counts)[1:4]
    (11, 1.6666666666666667, 1.02)

    Args:
        tokenizer: of the vocabulary.
        rows_asked: what it was trained for.
        codes: int [n, num_levels].
        counts: int [n], interactions of each item, not all 0.

    Raises:
        DataError: lengths differ, or no item was interacted with.
    """
    if len(codes) != len(counts) or not np.sum(counts):
        raise DataError(f"{len(codes)} items meet {len(counts)} counts; one each is needed, not all 0.")
    pieces = (tokenizer.encode(codes) > 0).sum(axis=1)
    return report_of_pieces(rows_asked, tokenizer.num_rows, pieces, counts, np.ones(len(counts), np.int64))


def report_of_pieces(
    rows_asked: int, rows: int, pieces: np.ndarray, counts: np.ndarray, numbers: np.ndarray
) -> VocabularyReport:
    """The same, where it is known how many items there are of each kind.

    >>> report_of_pieces(60, 52, np.array([1, 3]), np.array([90, 10]), np.array([1, 9]))[2:]
    (2.8, 2.0, 1.0, 3.0)

    Args:
        rows_asked, rows: of the table.
        pieces: int [n], of an item of each kind.
        counts: int [n], interactions with it; among equals, those that stand first are the more popular.
        numbers: int [n], items of the kind.
    """
    order = np.argsort(-counts, kind="stable")
    pieces, counts, numbers = pieces[order], counts[order], numbers[order]
    head = max(round(_HEAD * numbers.sum()), 1)
    in_head = np.clip(head - (numbers.cumsum() - numbers), 0, numbers)
    in_tail = numbers - in_head if numbers.sum() > head else numbers
    shares = (numbers, numbers * counts, in_head, in_tail)
    return VocabularyReport(rows_asked, rows, *(float(np.average(pieces, weights=it)) for it in shares))
