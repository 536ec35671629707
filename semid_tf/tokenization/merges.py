"""Byte-pair merges over codes, learned in rounds: beyond what SentencePiece's own trainer holds in memory.

A round counts the neighbours of all Semantic IDs and merges the most frequent pairs at once. With one merge a
round this is byte-pair encoding as Sennrich et al. 2016 have it; with many, a corpus is read as often as
there are rounds, however many merges they make. These functions are pure; `pipelines.merges` runs them in
Beam.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from semid_tf.config import CodeSpace
from semid_tf.errors import ConfigError
from semid_tf.tokenization.alphabet import alphabet, code_texts, require_alphabet
from semid_tf.tokenization.sentencepiece import SentencePieceTokenizer, sentencepiece_of

Pieces = tuple[str, ...]


def neighbour_texts(pieces: Pieces) -> Iterator[str]:
    """What each two pieces next to each other spell.

    >>> list(neighbour_texts(("a", "bc", "d")))
    ['abc', 'bcd']
    """
    return (left + right for left, right in itertools.pairwise(pieces))


def merge_pieces(pieces: Pieces, ranks: Mapping[str, int]) -> Pieces:
    """Applies merges, of least rank first and from the left, until none applies.

    >>> merge_pieces(("a", "b", "c"), {"bc": 0, "ab": 1})
    ('a', 'bc')
    """
    while True:
        found = [(ranks[text], place) for place, text in enumerate(neighbour_texts(pieces)) if text in ranks]
        if not found:
            return pieces
        place = min(found)[1]
        pieces = (*pieces[:place], pieces[place] + pieces[place + 1], *pieces[place + 2 :])


def by_frequency(counted: tuple[str, int]) -> tuple[int, str]:
    """Sorts texts with their counts, most frequent first; equal counts go by what they spell."""
    return -counted[1], counted[0]


def most_frequent_texts(counted: Iterable[tuple[str, int]], number: int) -> list[str]:
    """The most frequent texts in the order of `by_frequency`."""
    return [text for text, _ in heapq.nsmallest(number, counted, by_frequency)]


def learn_merges(
    codes: np.ndarray, counts: np.ndarray, code_space: CodeSpace, num_merges: int, merges_per_round: int = 1
) -> list[str]:
    """Merges in the order in which they apply, as texts of the alphabet; fewer where no neighbours are left.

    Args:
        codes: int [n, num_levels].
        counts: int [n], how often each item was met; those of 0 do not count.
        code_space: the range of the codes.
        num_merges: at most so many.
        merges_per_round: pairs merged at once.

    Raises:
        ConfigError: a number below 1, or too many codes for the alphabet.
    """
    require_rounds(code_space, num_merges, merges_per_round)
    corpus = [
        (tuple(text), int(n)) for text, n in zip(code_texts(codes, code_space), counts, strict=True) if n > 0
    ]
    ranks: dict[str, int] = {}
    for number in merges_by_round(num_merges, merges_per_round):
        counted: Counter[str] = Counter()
        for pieces, count in corpus:
            for text in neighbour_texts(pieces):
                counted[text] += count
        ranks = ranked_merges(ranks, most_frequent_texts(counted.items(), number))
        corpus = [(merge_pieces(pieces, ranks), count) for pieces, count in corpus]
    return list(ranks)


def merges_by_round(num_merges: int, merges_per_round: int) -> list[int]:
    """How many merges each round makes at most.

    >>> merges_by_round(7, 3)
    [3, 3, 1]
    """
    return [min(merges_per_round, num_merges - done) for done in range(0, num_merges, merges_per_round)]


def ranked_merges(ranks: Mapping[str, int], fresh: Sequence[str]) -> dict[str, int]:
    """Further merges behind those that there are."""
    return {**ranks, **{text: len(ranks) + place for place, text in enumerate(fresh)}}


def require_rounds(code_space: CodeSpace, num_merges: int, merges_per_round: int) -> None:
    """Checks what `learn_merges` is asked for.

    Raises:
        ConfigError: a number below 1, or too many codes for the alphabet.
    """
    require_alphabet(code_space)
    if num_merges < 1 or merges_per_round < 1:
        raise ConfigError(
            f"num_merges and merges_per_round must be at least 1, got {num_merges} and {merges_per_round}."
        )


def tokenizer_of_merges(merges: Sequence[str], code_space: CodeSpace) -> SentencePieceTokenizer:
    """A SentencePiece model of given merges: in Python, in graph and in a SavedModel as any other.

    Its rows: padding, unknown, the merges, the single codes.
    """
    return sentencepiece_of([*merges, *alphabet(code_space)], code_space)
