"""One example of each public layer, model and tokenizer; the contracts fail if one is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

import semid_tf as sid

SPACE = sid.CodeSpace(num_levels=3, codebook_size=4)
DIM = 6
ALL_CODES = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.int32)


class Part(NamedTuple):
    """A layer or a model with weights that show, and something to call it with."""

    layer: tf_keras.layers.Layer
    inputs: Any


#: What takes several inputs and is tested inside a `SequentialModel`, see test_sequence_parts.py.
INSIDE_SEQUENTIAL = [
    sid.Backbone,
    sid.BinaryCrossEntropy,
    sid.ContentToken,
    sid.DenseToken,
    sid.FrequencyMixer,
    sid.FullSoftmax,
    sid.GatedAttention,
    sid.IdToken,
    sid.ProductToken,
    sid.QuantizedToken,
    sid.SampledSoftmax,
    sid.SelfAttention,
    sid.SemanticToken,
]


def public(base: type) -> list[type]:
    """The subclasses of a class that the package shows."""
    shown = [getattr(sid, name) for name in sid.__all__]
    return [part for part in shown if isinstance(part, type) and issubclass(part, base) and part is not base]


def _random(*shape: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(1).normal(size=shape), tf.float32)


def _rqvae() -> Part:
    config = sid.RQVAEConfig(num_levels=2, codebook_size=8, latent_dim=5, hidden_dim=7)
    return Part(sid.RQVAE(DIM, config), _random(9, DIM))


def _residual_kmeans() -> Part:
    items = np.random.default_rng(5).normal(size=(60, DIM)).astype(np.float32)
    config = sid.ResidualKMeansConfig(num_levels=2, codebook_size=(8, 4), iterations=2, refinements=2)
    return Part(sid.fit_residual_kmeans(items, config=config), _random(9, DIM))


def _ranker() -> Part:
    pieces = sid.NgramTokenizer(SPACE).encode(ALL_CODES)
    embedding = sid.CatalogueEmbedding.of(pieces, sid.PieceEmbedding(13, dim=4))
    config = sid.RankerConfig(dim=4, hidden_dims=(5, 3), dropout=0.2)
    inputs = {"history": tf.constant([[0, 3, 9], [0, 0, 0]]), "candidates": tf.constant([[1, 64], [5, 0]])}
    return Part(sid.Ranker(config, embedding), inputs)


def _catalogue() -> Part:
    layer = sid.CatalogueEmbedding.of(ALL_CODES, sid.SemanticEmbedding(sentencepiece(), dim=5))
    return Part(layer, tf.constant([[0, 7, 7], [64, 1, 0]]))


def _sequential() -> Part:
    tower = sid.ItemTower([sid.IdToken(9, 4, seed=1)])
    backbone = sid.Backbone([sid.SelfAttention(2, 4, 0.1, seed=2)], max_length=6, net_dim=8, seed=3)
    made = sid.SequentialModel(tower, backbone, sid.FullSoftmax(np.arange(1, 10)))
    return Part(made, tf.constant([[0, 3, 9], [5, 1, 7]]))


def _ensemble() -> Part:
    members = [_sequential().layer, _sequential().layer]
    return Part(sid.SequenceEnsemble(members), tf.constant([[0, 3, 9], [5, 1, 7]]))


def _unified() -> Part:
    layer = sid.UnifiedEmbedding(sid.PieceEmbedding(13, 4), sid.PieceEmbedding(7, 4, seed=1), half_seen=3.0)
    pieces = sid.NgramTokenizer(SPACE).encode(ALL_CODES)
    features = sid.unified_features(pieces, 1 + np.arange(64) % 6, np.arange(64) % 5)
    return Part(layer, tf.constant(features.reshape(4, 16, 5)))


EXAMPLES: dict[type, Callable[[], Part]] = {
    sid.RQVAE: _rqvae,
    sid.ResidualKMeans: _residual_kmeans,
    sid.Ranker: _ranker,
    sid.CatalogueEmbedding: _catalogue,
    sid.SequentialModel: _sequential,
    sid.SequenceEnsemble: _ensemble,
    sid.ItemTower: lambda: Part(sid.ItemTower([sid.IdToken(9, 4, seed=1)]), tf.constant([0, 3, 9])),
    sid.CountedDropout: lambda: Part(sid.CountedDropout(0.5, seed=1), _random(9, DIM)),
    sid.UnifiedEmbedding: _unified,
    sid.ResidualQuantizer: lambda: Part(sid.ResidualQuantizer(3, 8), _random(9, DIM)),
    sid.LinearPlusMLP: lambda: Part(sid.LinearPlusMLP(4, 8, seed=2), _random(9, DIM)),
    sid.LinearThenMLP: lambda: Part(sid.LinearThenMLP(4, 8, seed=2), _random(9, DIM)),
    sid.DenseContentEmbedding: lambda: Part(sid.DenseContentEmbedding(4, (8, 5), seed=2), _random(2, 9, DIM)),
    sid.HashedEmbedding: lambda: Part(sid.HashedEmbedding(11, 4), tf.constant([["a", "b"], ["", "ß🧀"]])),
    sid.PieceEmbedding: lambda: Part(sid.PieceEmbedding(11, 4), tf.constant([[1, 0, 0], [10, 2, 2]])),
    sid.SentencePieceLookup: lambda: Part(
        sid.SentencePieceLookup(sentencepiece()), tf.constant(ALL_CODES.reshape(8, 8, 3))
    ),
    sid.SemanticEmbedding: lambda: Part(
        sid.SemanticEmbedding(sid.PrefixTokenizer(SPACE, num_rows=29), dim=4), tf.constant(ALL_CODES)
    ),
}


def sentencepiece(model_type: str = "bpe") -> sid.SentencePieceTokenizer:
    """Trained so that some pieces stand for two and three codes."""
    counts = np.where(ALL_CODES.sum(axis=1) % 3 == 0, 1 + ALL_CODES[:, 0] * 50, 0)
    return sid.train_sentencepiece(ALL_CODES, counts, SPACE, 30, model_type)


TOKENIZERS: dict[str, Callable[[], sid.Tokenizer]] = {
    "NgramTokenizer": lambda: sid.NgramTokenizer(SPACE, n=2),
    "NgramTokenizer hashed": lambda: sid.NgramTokenizer(SPACE, n=2, num_rows=7),
    "NgramTokenizer overlapping": lambda: sid.NgramTokenizer(SPACE, n=2, overlapping=True),
    "NgramTokenizer apart": lambda: sid.NgramTokenizer(SPACE, n=2, num_rows=8, apart=True),
    "PrefixTokenizer": lambda: sid.PrefixTokenizer(SPACE),
    "PrefixTokenizer hashed": lambda: sid.PrefixTokenizer(SPACE, num_rows=17),
    "SentencePieceTokenizer": sentencepiece,
    "PiecesAndCodes": lambda: sid.PiecesAndCodes(sentencepiece()),
    "SentencePieceTokenizer unigram": lambda: sentencepiece("unigram"),
}


def example(part: type) -> Part:
    """A built example whose trainable weights are all different from each other and from their start."""
    made = EXAMPLES[part]()
    made.layer(made.inputs)
    random = np.random.default_rng(3)
    for weight in made.layer.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    return made
