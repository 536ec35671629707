"""The ways of embedding an item that are compared: Semantic IDs, their baselines and a control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tf_keras

from semid_tf.config import RankerConfig
from semid_tf.layers import (
    CatalogueEmbedding,
    DenseContentEmbedding,
    HashedEmbedding,
    SemanticEmbedding,
    content_start,
)
from semid_tf.tokenization import NgramTokenizer, PiecesAndCodes, PrefixTokenizer, Tokenizer
from semid_tf.training import CoarseDropout


@dataclass(frozen=True)
class Catalogue:
    """What is known of the items.

    Attributes:
        item_ids: object [n].
        embeddings: float32 [n, embedding_dim].
        codes: int32 [n, num_levels].
        sentencepiece: trained on the codes of interacted items.
        coarse_dropout: share of Semantic IDs without coarse pieces in training.
        table_rows: rows of hashed tables.
        seed: of the random-SID control.
    """

    item_ids: np.ndarray
    embeddings: np.ndarray
    codes: np.ndarray
    sentencepiece: PiecesAndCodes
    coarse_dropout: float
    table_rows: int
    seed: int


Method = Callable[[Catalogue, RankerConfig], CatalogueEmbedding]


def training_callbacks(
    name: str, catalogue: Catalogue, embedding: CatalogueEmbedding, seed: int
) -> list[tf_keras.callbacks.Callback]:
    """What a method needs while its ranker trains: SentencePiece leaves out coarse pieces at random."""
    if name != "sentencepiece":
        return []
    return [
        CoarseDropout(embedding, catalogue.sentencepiece, catalogue.codes, catalogue.coarse_dropout, seed)
    ]


def tokenizer_of(name: str, catalogue: Catalogue) -> Tokenizer:
    """The tokenizer of a Semantic-ID method."""
    code_space = catalogue.sentencepiece.code_space
    if name == "sentencepiece":
        return catalogue.sentencepiece
    if name == "prefix":
        return PrefixTokenizer(code_space, catalogue.table_rows)
    return NgramTokenizer(code_space)


def _random_hash(catalogue: Catalogue, config: RankerConfig) -> CatalogueEmbedding:
    layer = HashedEmbedding(catalogue.table_rows, config.dim, config.seed)
    rows = layer.piece_ids(tf.constant(catalogue.item_ids.astype(str)))
    return CatalogueEmbedding.of(rows.numpy(), layer.pieces)


def _dense(catalogue: Catalogue, config: RankerConfig) -> CatalogueEmbedding:
    return CatalogueEmbedding.of(catalogue.embeddings, DenseContentEmbedding(config.dim, seed=config.seed))


def _semantic(name: str) -> Method:
    def embedding(catalogue: Catalogue, config: RankerConfig) -> CatalogueEmbedding:
        tokenizer = tokenizer_of(name, catalogue)
        semantic = _of_codes(tokenizer, catalogue.codes, config)
        piece_ids = semantic.features.numpy()[1:]
        start = content_start(piece_ids, catalogue.embeddings, tokenizer.num_rows, config.dim)
        semantic.embedding.table.assign(start)
        return semantic

    return embedding


def _random_sid(catalogue: Catalogue, config: RankerConfig) -> CatalogueEmbedding:
    tokenizer = tokenizer_of("unigram", catalogue)
    random = np.random.default_rng(catalogue.seed)
    codes = random.integers(0, tokenizer.code_space.codebook_size, catalogue.codes.shape, np.int32)
    return _of_codes(tokenizer, codes, config)


def _of_codes(tokenizer: Tokenizer, codes: np.ndarray, config: RankerConfig) -> CatalogueEmbedding:
    layer = SemanticEmbedding(tokenizer, config.dim, config.seed)
    return CatalogueEmbedding.of(tokenizer.encode(codes), layer.pieces)


SEMANTIC_METHODS = ("unigram", "prefix", "sentencepiece")

METHODS: dict[str, Method] = {
    "random_hash": _random_hash,
    "dense": _dense,
    **{name: _semantic(name) for name in SEMANTIC_METHODS},
    "random_sid": _random_sid,
}
