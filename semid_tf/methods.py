"""The ways of embedding an item that are compared: Semantic IDs, their baselines and a control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from semid_tf.config import RankerConfig
from semid_tf.data import Examples
from semid_tf.layers import (
    CatalogueEmbedding,
    DenseContentEmbedding,
    HashedEmbedding,
    PieceEmbedding,
    UnifiedEmbedding,
    content_start,
    unified_features,
)
from semid_tf.models import Ranker
from semid_tf.tokenization import NgramTokenizer, PiecesAndCodes, PrefixTokenizer, Tokenizer
from semid_tf.training import fit_own_parts, fit_ranker, with_own_parts

_HALF_SEEN = 10.0  # chosen on Amazon Beauty before its test period


@dataclass(frozen=True)
class Catalogue:
    """What is known of the items.

    Attributes:
        item_ids: object [n].
        embeddings: float32 [n, embedding_dim].
        codes: int32 [n, num_levels].
        sentencepiece: trained on the codes of interacted items.
        item_counts: int64 [n], interactions of each item in training.
        table_rows: rows of hashed tables.
        seed: of the random-SID control.
    """

    item_ids: np.ndarray
    embeddings: np.ndarray
    codes: np.ndarray
    sentencepiece: PiecesAndCodes
    item_counts: np.ndarray
    table_rows: int
    seed: int


Embed = Callable[[Catalogue, RankerConfig], CatalogueEmbedding]


def fit_method(
    name: str, catalogue: Catalogue, config: RankerConfig, train: Examples, base: Ranker | None = None
) -> Ranker:
    """Trains the ranker of a method, one of `ALL_METHODS`.

    SentencePiece and ID + SID are trained in two steps: the unigram, and then, on top of it and with all else
    frozen, the parts that items seen have of their own, coarse pieces and the rows of ids. So a new item
    ranks exactly as with the unigram, and whatever frequent items learn by heart does not touch it.

    Args:
        name: of the method.
        catalogue: what is known of the items.
        config: of the ranker.
        train: the examples.
        base: the ranker of the unigram with this configuration, if it is trained already.
    """
    if name not in _OWN_PARTS:
        return fit_ranker(f"train {name}", _EMBEDDINGS[name](catalogue, config), train, config)
    base = base or fit_method(BASE, catalogue, config, train)
    rows, num_rows = _OWN_PARTS[name](catalogue)
    grown = with_own_parts(base, rows, num_rows, catalogue.item_counts, _HALF_SEEN)
    return fit_own_parts(f"train {name}", grown, train)


def tokenizer_of(name: str, catalogue: Catalogue) -> Tokenizer:
    """The tokenizer of a Semantic-ID method."""
    code_space = catalogue.sentencepiece.code_space
    if name in _OWN_PARTS:
        return catalogue.sentencepiece
    if name == "sentencepiece_alone":
        return catalogue.sentencepiece.sentencepiece
    if name == "prefix":
        return PrefixTokenizer(code_space, catalogue.table_rows)
    if name == "bigram":
        return NgramTokenizer(code_space, 2, catalogue.table_rows)
    return NgramTokenizer(code_space)


def features_of(name: str, catalogue: Catalogue) -> np.ndarray:
    """What a ranker of a method knows of each item, [n, ...]: embeddings, or rows of tables."""
    if name in _OWN_PARTS:
        own = _OWN_PARTS[name](catalogue)
        return unified_features(features_of(BASE, catalogue), own.rows, catalogue.item_counts)
    return _FEATURES.get(name, partial(_pieces, name))(catalogue)


def num_rows(ranker: Ranker) -> int:
    """Rows of a ranker's item tables; 0 where there are none."""
    layer = ranker.item_embedding.embedding
    tables = (layer.semantic, layer.own) if isinstance(layer, UnifiedEmbedding) else (layer,)
    return sum(getattr(table, "num_rows", 0) for table in tables)


def lookups(ranker: Ranker) -> np.ndarray:
    """Rows that each item needs of them: int [n]."""
    features = ranker.item_embedding.features.numpy()[1:]
    if isinstance(ranker.item_embedding.embedding, UnifiedEmbedding):
        features = features[:, :-1]  # the count is no row
    return (features > 0).sum(axis=1)


def _random_hash(catalogue: Catalogue, config: RankerConfig) -> CatalogueEmbedding:
    return _of_rows("random_hash", catalogue.table_rows, catalogue, config)


def _of_rows(name: str, rows: int, catalogue: Catalogue, config: RankerConfig) -> CatalogueEmbedding:
    table = PieceEmbedding(rows, config.dim, config.seed)
    return CatalogueEmbedding.of(features_of(name, catalogue), table)


def _hashed_rows(catalogue: Catalogue) -> np.ndarray:
    """The row of each item's id: int32 [n, 1]."""
    ids = tf.constant(catalogue.item_ids.astype(str))
    return HashedEmbedding(catalogue.table_rows, 1).piece_ids(ids).numpy()


def _embeddings(catalogue: Catalogue) -> np.ndarray:
    return catalogue.embeddings


def _dense(hidden_dims: tuple[int, ...], catalogue: Catalogue, config: RankerConfig) -> CatalogueEmbedding:
    return CatalogueEmbedding.of(
        catalogue.embeddings, DenseContentEmbedding(config.dim, hidden_dims, config.seed)
    )


def _semantic(name: str, catalogue: Catalogue, config: RankerConfig) -> CatalogueEmbedding:
    rows = tokenizer_of(name, catalogue).num_rows
    semantic = _of_rows(name, rows, catalogue, config)
    piece_ids = semantic.features.numpy()[1:]
    semantic.embedding.table.assign(content_start(piece_ids, catalogue.embeddings, rows, config.dim))
    return semantic


def _pieces(name: str, catalogue: Catalogue) -> np.ndarray:
    return tokenizer_of(name, catalogue).encode(catalogue.codes)


def _random_sid(catalogue: Catalogue, config: RankerConfig) -> CatalogueEmbedding:
    return _of_rows("random_sid", tokenizer_of(BASE, catalogue).num_rows, catalogue, config)


def _random_pieces(catalogue: Catalogue) -> np.ndarray:
    tokenizer = tokenizer_of(BASE, catalogue)
    random = np.random.default_rng(catalogue.seed)
    return tokenizer.encode(
        random.integers(0, tokenizer.code_space.codebook_sizes, catalogue.codes.shape, np.int32)
    )


class _Own(NamedTuple):
    """Own parts: the rows of each item, int32 [n, num_own], in a table of `num_rows`."""

    rows: np.ndarray
    num_rows: int


def _coarse_pieces(catalogue: Catalogue) -> _Own:
    pieces = catalogue.sentencepiece
    return _Own(np.split(pieces.encode(catalogue.codes), 2, axis=1)[1], pieces.num_coarse_rows)


def _coarse_pieces_and_ids(catalogue: Catalogue) -> _Own:
    """The rows of ids stand behind those of coarse pieces; padding they have in common."""
    coarse = _coarse_pieces(catalogue)
    ids = coarse.num_rows - 1 + _hashed_rows(catalogue)
    rows = np.concatenate([coarse.rows, ids], axis=1)
    return _Own(rows, coarse.num_rows + catalogue.table_rows - 1)


_EMBEDDINGS: dict[str, Embed] = {
    "random_hash": _random_hash,
    # Dense content through one, one and a half and two times the layers (Dense Input of Singh et al. 2024).
    "dense": partial(_dense, (128,)),
    "dense_x1.5": partial(_dense, (128, 64)),
    "dense_x2": partial(_dense, (128, 128)),
    "unigram": partial(_semantic, "unigram"),
    "bigram": partial(_semantic, "bigram"),
    "prefix": partial(_semantic, "prefix"),
    # As in Singh et al. 2024: pieces only, no single codes beside them.
    "sentencepiece_alone": partial(_semantic, "sentencepiece_alone"),
    "random_sid": _random_sid,
}
_FEATURES: dict[str, Callable[[Catalogue], np.ndarray]] = {
    "random_hash": _hashed_rows,
    **dict.fromkeys(("dense", "dense_x1.5", "dense_x2"), _embeddings),
    "random_sid": _random_pieces,
}
_OWN_PARTS: dict[str, Callable[[Catalogue], _Own]] = {
    "sentencepiece": _coarse_pieces,
    "id_sid": _coarse_pieces_and_ids,
}

BASE, ON_TOP = "unigram", tuple(_OWN_PARTS)
SEMANTIC_METHODS = ("unigram", "prefix", *ON_TOP)
METHODS = ("random_hash", "dense", *SEMANTIC_METHODS, "random_sid")
ALL_METHODS = (*_EMBEDDINGS, *_OWN_PARTS)
