"""A small trained-looking ranker, its parts, and the same ranker in plain NumPy."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from reference import ranking as reference

import semid_tf as sid
from serving.warmup import WarmupExample

NUM_ITEMS, EMBEDDING_DIM = 500, 12
CONFIG = sid.RQVAEConfig(
    num_levels=3, codebook_size=8, epochs=1, hidden_dim=8, latent_dim=4, kmeans_iterations=3, batch_size=256
)
SPACE = CONFIG.code_space
RANKER = sid.RankerConfig(dim=6, num_cross_layers=2, hidden_dims=(8, 4))
TOKENIZERS = ("unigram", "prefix", "sentencepiece")


class Parts(NamedTuple):
    """What an export is made from, in the order of the arguments."""

    ranker: sid.Ranker
    tokenizer: sid.Tokenizer
    items: sid.ItemTable
    quantizer: sid.SavedQuantizer


def embeddings(count: int = NUM_ITEMS, seed: int = 3) -> np.ndarray:
    """Random content embeddings: float32 [count, EMBEDDING_DIM]."""
    return np.random.default_rng(seed).normal(size=(count, EMBEDDING_DIM)).astype(np.float32)


def publish_quantizer(target: Path) -> sid.SavedQuantizer:
    """An RQ-VAE fitted on `embeddings()`."""
    model = sid.fit_rqvae(embeddings(), config=CONFIG)
    with sid.staging(target.parent) as folder:
        sid.save_quantizer(model, folder)
        config = dataclasses.asdict(CONFIG)
        manifest = sid.Manifest("quantizer", model.fingerprint, "inputs", config=config)
        return sid.SavedQuantizer(sid.publish(folder, target, manifest))


def item_table(quantizer: sid.SavedQuantizer) -> sid.ItemTable:
    """Items `item 0`, `item 1`, ... with the codes of `embeddings()`; one has a name beyond ASCII."""
    names = [f"item {i}" for i in range(NUM_ITEMS - 1)] + ["Käse, süß\t🧀"]
    return sid.ItemTable(np.array(names, object), quantizer.encode(embeddings()), quantizer.code_space)


def tokenizer(name: str, items: sid.ItemTable) -> sid.Tokenizer:
    """One of TOKENIZERS."""
    if name == "unigram":
        return sid.NgramTokenizer(SPACE)
    if name == "prefix":
        return sid.PrefixTokenizer(SPACE, num_rows=97)
    return sid.train_sentencepiece(items.codes, np.ones(len(items)), SPACE, num_rows=80)


def ranker_of(pieces: np.ndarray, num_rows: int, embedding: type = sid.PieceEmbedding) -> sid.Ranker:
    """A ranker over a catalogue of pieces whose weights are large enough that scores differ much."""
    ranker = sid.Ranker(RANKER, sid.CatalogueEmbedding.of(pieces, embedding(num_rows, RANKER.dim)))
    random = np.random.default_rng(5)
    for weight in ranker.trainable_weights:
        weight.assign(random.normal(scale=0.5, size=weight.shape))
    return ranker


def parts(name: str, quantizer: sid.SavedQuantizer) -> Parts:
    """All that an export of one tokenizer needs."""
    items = item_table(quantizer)
    pieces = tokenizer(name, items)
    return Parts(ranker_of(pieces.encode(items.codes), pieces.num_rows), pieces, items, quantizer)


def example(items: sid.ItemTable, history: int = 7, candidates: int = 9, users: int = 2) -> WarmupExample:
    """Users and candidates drawn from the table."""
    random = np.random.default_rng(history + candidates)
    rows = random.integers(0, len(items), (users, candidates))
    seen = items.item_ids[random.integers(0, len(items), (users, history))]
    return WarmupExample(seen.astype(str), items.item_ids[rows].astype(str), embeddings()[rows])


def call(module: object, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of one signature of a loaded export."""
    run = module.signatures[signature]
    return {
        name: value.numpy() for name, value in run(**{k: tf.constant(v) for k, v in inputs.items()}).items()
    }


def numpy_scores(parts: Parts, history: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Probabilities for one user, from piece ids [h, p] and [c, p], in plain NumPy and float64."""
    weights = reference.weights_of(parts.ranker)
    table = parts.ranker.item_embedding.embedding.table.numpy().astype(np.float64)
    table[0] = 0
    vectors = np.concatenate(
        [np.zeros((1, RANKER.dim)), table[history].sum(axis=1), table[candidates].sum(axis=1)]
    )
    seen = np.arange(len(history)) + 1
    shown = np.arange(len(candidates)) + 1 + len(history)
    logits = reference.logits(weights._replace(items=vectors), seen[None, :], shown[None, :])[0]
    return 1 / (1 + np.exp(-logits))
