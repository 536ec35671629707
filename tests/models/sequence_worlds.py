"""Small sequence models with weights that show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras

import semid_tf as sid

NUM_ITEMS, CONTENT_DIM = 20, 6
CONTENT = np.random.default_rng(7).normal(size=(NUM_ITEMS, CONTENT_DIM)).astype(np.float32)
COUNTS = np.arange(NUM_ITEMS)  # item 1 was never seen

MIXERS: dict[str, Callable[[], tf_keras.layers.Layer]] = {
    "attention": lambda: sid.SelfAttention(2, 4, 0.1, seed=1),
    "frequency": lambda: sid.FrequencyMixer(sid.SelfAttention(1, 4, 0.0, seed=2), window=2, seed=3),
    "gated": lambda: sid.GatedAttention(2, 4, max_length=6, seed=4),
}
LOSSES: dict[str, Callable[[], sid.SequenceLoss]] = {
    "full": lambda: sid.FullSoftmax(np.arange(2, NUM_ITEMS + 1)),
    "sampled": lambda: sid.SampledSoftmax(COUNTS, num_samples=5, seed=5),
    "binary": lambda: sid.BinaryCrossEntropy(np.arange(2, NUM_ITEMS + 1), seed=6),
}


def quantized(**settings: object) -> sid.QuantizedToken:
    """A token with codebooks started on the content."""
    space = sid.CodeSpace(3, 4)
    token = sid.QuantizedToken(CONTENT_DIM, space, 4, (7, 5), revive_below=0.1, seed=3, **settings)
    token.build(None)
    token.start(CONTENT, COUNTS.astype(np.float32))
    return token


def unified_tower() -> sid.ItemTower:
    """Semantic and ID token side by side: 4 + 2 numbers."""
    ids = sid.IdToken(NUM_ITEMS, 2, dropout=0.2, seed=8)
    ids.build(None)
    ids.set_counts(COUNTS)
    return sid.ItemTower([sid.ContentToken.of(CONTENT, quantized()), ids])


def summed_tower() -> sid.ItemTower:
    """A linear map of the content plus an ID embedding."""
    dense = sid.ContentToken.of(CONTENT, sid.DenseToken(6, seed=1))
    return sid.ItemTower([dense, sid.IdToken(NUM_ITEMS, 6, seed=2)], merge="summed")


def pieces_tower() -> sid.ItemTower:
    """Codes of residual k-means, their vectors learned: 4 + 2 numbers."""
    config = sid.ResidualKMeansConfig(num_levels=2, codebook_size=(4, 3), iterations=2, refinements=1)
    quantizer = sid.fit_residual_kmeans(CONTENT, config=config)
    token = sid.SemanticToken.of(CONTENT, quantizer, sid.NgramTokenizer(quantizer.code_space), 4, seed=1)
    return sid.ItemTower([token, sid.IdToken(NUM_ITEMS, 2, seed=2)])


def compact_tower() -> sid.ItemTower:
    """Product codes of vectors, and a linear map of the content for new items."""
    vectors = np.random.default_rng(5).normal(size=(NUM_ITEMS, 6)).astype(np.float32)
    encoder = sid.DenseToken(4, seed=1)
    encoder.build(tf.TensorShape((None, CONTENT_DIM)))
    return sid.ItemTower([sid.ProductToken.of(vectors, np.ones(NUM_ITEMS), 3, 8, encoder)])


def backbone(mixer: str = "attention", norm_first: bool = False, net_dim: int = 8) -> sid.Backbone:
    """Two blocks with large weights, so that every place matters."""
    made = sid.Backbone([MIXERS[mixer](), MIXERS[mixer]()], 6, net_dim, 0.1, norm_first, seed=9)
    made(tf.zeros((1, 1, 6)), sid.Places(tf.ones((1, 1), tf.int32), tf.ones((1, 1), tf.int32)))
    random = np.random.default_rng(10)
    for weight in made.trainable_weights:
        weight.assign(weight + random.normal(size=weight.shape, scale=0.5))
    return made


def model(
    mixer: str = "attention", loss: str = "full", tower: sid.ItemTower | None = None
) -> sid.SequentialModel:
    """A model over the 20 items."""
    return sid.SequentialModel(tower or unified_tower(), backbone(mixer), LOSSES[loss](), scale=2.0)


def packed_batch() -> dict[str, np.ndarray]:
    """Three users in two rows."""
    sequences = sid.Sequences(np.array([2, 3, 4, 5, 9, 8, 7, 2, 11], np.int32), np.array([0, 4, 7, 9]))
    return sid.packed(sequences, 6, 6, np.random.default_rng(0))._asdict()
