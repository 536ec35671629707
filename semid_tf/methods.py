"""The ways of embedding an item that are compared: Semantic IDs, their baselines and a control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from semid_tf.config import RankerConfig
from semid_tf.layers import (
    CatalogueEmbedding,
    DenseContentEmbedding,
    HashedEmbedding,
    PieceEmbedding,
    UnifiedEmbedding,
    content_start,
    unified_features,
)
from semid_tf.models import HistoryAttention, TwoViews
from semid_tf.tokenization import NgramTokenizer, PiecesAndCodes, PrefixTokenizer, Tokenizer


@dataclass(frozen=True)
class Catalogue:
    """What is known of the items.

    Attributes:
        item_ids: object [n].
        embeddings: float32 [n, embedding_dim].
        codes: int32 [n, num_levels].
        sentencepiece: trained on the codes of interacted items.
        item_counts: int64 [n], interactions of each item in training.
        own_dropout: share of items without coarse pieces and ids while training.
        table_rows: rows of hashed tables.
        seed: of the random-SID control.
    """

    item_ids: np.ndarray
    embeddings: np.ndarray
    codes: np.ndarray
    sentencepiece: PiecesAndCodes
    item_counts: np.ndarray
    own_dropout: float
    table_rows: int
    seed: int


_HALF_SEEN = 10.0  # chosen on Amazon Beauty before its test period


class Parts(NamedTuple):
    """Of a ranker.

    Attributes:
        embedding: of the items.
        attention: to the history; None = the ranker's own.
    """

    embedding: CatalogueEmbedding
    attention: TwoViews | None = None

    @property
    def num_rows(self) -> int:
        """Of the item table; 0 where there is none."""
        layer = self.embedding.embedding
        return getattr(getattr(layer, "semantic", layer), "num_rows", 0)

    def lookups(self) -> np.ndarray:
        """Rows of the table that each item needs: int [n]."""
        features = self.embedding.features.numpy()[1:]
        if isinstance(self.embedding.embedding, UnifiedEmbedding):
            features = features[:, :-1]  # the count is no row
        return (features > 0).sum(axis=1)


Method = Callable[[Catalogue, RankerConfig], Parts]


def tokenizer_of(name: str, catalogue: Catalogue) -> Tokenizer:
    """The tokenizer of a Semantic-ID method."""
    code_space = catalogue.sentencepiece.code_space
    if name == "sentencepiece":
        return catalogue.sentencepiece
    if name == "prefix":
        return PrefixTokenizer(code_space, catalogue.table_rows)
    if name == "bigram":
        return NgramTokenizer(code_space, 2, catalogue.table_rows)
    return NgramTokenizer(code_space)


def _random_hash(catalogue: Catalogue, config: RankerConfig) -> Parts:
    rows = _hashed_rows(catalogue, catalogue.table_rows)
    return Parts(CatalogueEmbedding.of(rows, PieceEmbedding(catalogue.table_rows, config.dim, config.seed)))


def _hashed_rows(catalogue: Catalogue, num_rows: int) -> np.ndarray:
    """The row of each item's id: int32 [n, 1]."""
    return HashedEmbedding(num_rows, 1).piece_ids(tf.constant(catalogue.item_ids.astype(str))).numpy()


def _dense(hidden_dims: tuple[int, ...], catalogue: Catalogue, config: RankerConfig) -> Parts:
    layer = DenseContentEmbedding(config.dim, hidden_dims, config.seed)
    return Parts(CatalogueEmbedding.of(catalogue.embeddings, layer))


def _semantic(name: str, catalogue: Catalogue, config: RankerConfig) -> Parts:
    tokenizer = tokenizer_of(name, catalogue)
    semantic = _of_codes(tokenizer, catalogue.codes, config)
    piece_ids = semantic.features.numpy()[1:]
    start = content_start(piece_ids, catalogue.embeddings, tokenizer.num_rows, config.dim)
    semantic.embedding.table.assign(start)
    return Parts(semantic)


def _sentencepiece(catalogue: Catalogue, config: RankerConfig) -> Parts:
    """Single codes are shared, coarse pieces are the own part of the items that were seen."""
    pieces = catalogue.sentencepiece.encode(catalogue.codes)
    return _two_parts(pieces, np.zeros((len(pieces), 0), np.int32), catalogue, config)


def _id_and_sid(catalogue: Catalogue, config: RankerConfig) -> Parts:
    """As SentencePiece, and the row of an item's id is a part of its own too."""
    pieces = catalogue.sentencepiece.encode(catalogue.codes)
    first = catalogue.sentencepiece.num_rows - 1  # behind the pieces; the row of padding is theirs
    return _two_parts(pieces, first + _hashed_rows(catalogue, catalogue.table_rows), catalogue, config)


def _two_parts(pieces: np.ndarray, ids: np.ndarray, catalogue: Catalogue, config: RankerConfig) -> Parts:
    num_rows = catalogue.sentencepiece.num_rows + (catalogue.table_rows if ids.size else 0)
    single, coarse = np.split(pieces, 2, axis=1)
    own = np.concatenate([coarse, ids], axis=1)
    table = PieceEmbedding(num_rows, config.dim, config.seed)
    layer = UnifiedEmbedding(
        table,
        num_own=own.shape[1],
        combine="concatenated",
        half_seen=_HALF_SEEN,
        own_dropout=catalogue.own_dropout,
    )
    features = unified_features(single, own, catalogue.item_counts)
    embedding = CatalogueEmbedding.of(features, layer)
    seen = np.where(catalogue.item_counts[:, None] > 0, coarse, 0)
    table.table.assign(content_start(single, catalogue.embeddings, num_rows, config.dim, own=seen))
    return Parts(embedding, TwoViews(HistoryAttention(config.recency_steps)))


def _random_sid(catalogue: Catalogue, config: RankerConfig) -> Parts:
    tokenizer = tokenizer_of("unigram", catalogue)
    random = np.random.default_rng(catalogue.seed)
    codes = random.integers(0, tokenizer.code_space.codebook_sizes, catalogue.codes.shape, np.int32)
    return Parts(_of_codes(tokenizer, codes, config))


def _of_codes(tokenizer: Tokenizer, codes: np.ndarray, config: RankerConfig) -> CatalogueEmbedding:
    return CatalogueEmbedding.of(
        tokenizer.encode(codes), PieceEmbedding(tokenizer.num_rows, config.dim, config.seed)
    )


SEMANTIC_METHODS = ("unigram", "prefix", "sentencepiece")

METHODS: dict[str, Method] = {
    "random_hash": _random_hash,
    "dense": partial(_dense, (128,)),
    "unigram": partial(_semantic, "unigram"),
    "prefix": partial(_semantic, "prefix"),
    "sentencepiece": _sentencepiece,
    "random_sid": _random_sid,
}
# Dense content through one, one and a half and two times the layers (Dense Input of Singh et al. 2024).
ALL_METHODS: dict[str, Method] = METHODS | {
    "dense_x1.5": partial(_dense, (128, 64)),
    "dense_x2": partial(_dense, (128, 128)),
    "bigram": partial(_semantic, "bigram"),
    "id_sid": _id_and_sid,
}
