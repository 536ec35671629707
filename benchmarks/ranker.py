"""The ranker by method: training, scoring a user's candidates, and looking pieces up; one JSON object last.

    python -m benchmarks.ranker                           # a drawn catalogue of 20,000 items
    python -m benchmarks.ranker --items 100000 --steps 200

benchmarks/README.md says what each field means.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

import semid_tf as sid
from benchmarks.clock import cost_of

_SPACE = sid.CodeSpace(4, 256)
_DIM, _HISTORY, _CANDIDATES, _BATCH, _SCORED = 64, 50, 5, 512, 1_000
_HALF_SEEN = 10.0


class Drawn:
    """A drawn catalogue: codes, and how often items were met.

    Args:
        num_items: of the catalogue.
        num_rows: of tables of random hashes and of SentencePiece.
    """

    def __init__(self, num_items: int, num_rows: int) -> None:
        self.num_items, self.num_rows = num_items, num_rows
        self.random = np.random.default_rng(0)
        embeddings = sid.synthetic_items(num_items, dim=_DIM, seed=0).embeddings
        config = sid.ResidualKMeansConfig(num_levels=4, codebook_size=256, iterations=3, refinements=0)
        self.codes = sid.fit_residual_kmeans(embeddings, config=config).encode(embeddings).numpy()
        self.embeddings, self.counts = embeddings, self.random.zipf(1.4, num_items).clip(max=10_000)
        self.sentencepiece = sid.train_sentencepiece(self.codes, self.counts, _SPACE, num_rows)
        self.pieces = sid.PiecesAndCodes(self.sentencepiece)

    def examples(self, number: int) -> sid.Examples:
        """Histories and candidates by popularity."""
        share = self.counts / self.counts.sum()

        def draw(width: int) -> np.ndarray:
            return 1 + self.random.choice(self.num_items, (number, width), p=share).astype(np.int32)

        labels = np.zeros((number, _CANDIDATES), np.float32)
        labels[:, 0] = 1
        users = np.arange(number, dtype=np.int32)
        return sid.Examples(users, draw(_HISTORY), draw(_CANDIDATES), labels, np.ones_like(labels))


def rankers(drawn: Drawn) -> dict[str, sid.Ranker]:
    """An untrained ranker of each method; SentencePiece also as one table of pieces."""
    number, codes = drawn.num_rows, drawn.codes
    hashed = 1 + drawn.random.integers(0, number - 1, (drawn.num_items, 1)).astype(np.int32)
    coarse, num_coarse = np.split(drawn.pieces.encode(codes), 2, axis=1)[1], drawn.pieces.num_coarse_rows
    coarse_and_ids = np.column_stack([coarse, num_coarse - 1 + hashed])
    unigram = sid.NgramTokenizer(_SPACE)
    return {
        "random_hash": _ranker(hashed, sid.PieceEmbedding(number, _DIM)),
        "dense": _ranker(drawn.embeddings, sid.DenseContentEmbedding(_DIM)),
        "unigram": _of_codes(unigram, codes),
        "bigram": _of_codes(sid.NgramTokenizer(_SPACE, 2, number), codes),
        "prefix": _of_codes(sid.PrefixTokenizer(_SPACE, number), codes),
        "random_sid": _of_codes(unigram, drawn.random.integers(0, _SPACE.codebook_sizes, codes.shape)),
        "sentencepiece": _of_codes(drawn.sentencepiece, codes),
        "sentencepiece_on_unigram": _on_unigram(drawn, coarse, num_coarse),
        "id_sid_on_unigram": _on_unigram(drawn, coarse_and_ids, num_coarse + number - 1),
    }


def _ranker(features: np.ndarray, layer: tf_keras.layers.Layer) -> sid.Ranker:
    return sid.Ranker(sid.RankerConfig(dim=_DIM), sid.CatalogueEmbedding.of(features, layer))


def _of_codes(tokenizer: sid.Tokenizer, codes: np.ndarray) -> sid.Ranker:
    return _ranker(tokenizer.encode(codes), sid.PieceEmbedding(tokenizer.num_rows, _DIM))


def _on_unigram(drawn: Drawn, own: np.ndarray, num_rows: int) -> sid.Ranker:
    """With own parts; these and the shared ones are trained."""
    base = _of_codes(sid.NgramTokenizer(_SPACE), drawn.codes)
    made = sid.with_own_parts(base, own, num_rows, drawn.counts, _HALF_SEEN)
    made.item_embedding.trainable = True
    return made


def lookups(ranker: sid.Ranker) -> float:
    """Rows of tables that an item needs, on average."""
    features = ranker.item_embedding.features.numpy()[1:]
    if isinstance(ranker.item_embedding.embedding, sid.UnifiedEmbedding):
        features = features[:, :-1]  # the count is no row
    return float((features > 0).sum(axis=1).mean()) if features.dtype == np.int32 else 0.0


def training_speed(ranker: sid.Ranker, examples: sid.Examples) -> dict[str, float]:
    """Positives a second on the wall, and for each second of all processors."""
    ranker.compile("adam")
    warm, timed = (sid.training_batches(examples, _BATCH, seed) for seed in (0, 1))
    ranker.fit(warm.take(3), verbose=0)
    cost = cost_of(lambda: ranker.fit(timed, verbose=0))
    number = len(examples)
    return {"examples_per_s": number / cost.wall_s, "examples_per_cpu_s": number / cost.cpu_s}


def scoring_latency(ranker: sid.Ranker, drawn: Drawn, turns: int) -> dict[str, float]:
    """One user and 1,000 candidates: milliseconds, and processor milliseconds, a request."""
    history = tf.constant(1 + drawn.random.integers(0, drawn.num_items, (1, _HISTORY)), tf.int32)
    candidates = tf.constant(1 + drawn.random.integers(0, drawn.num_items, (1, _SCORED)), tf.int32)
    score = tf.function(ranker)
    request = {"history": history, "candidates": candidates}
    score(request)
    times, started = [], time.process_time()
    for _ in range(turns):
        begin = time.perf_counter()
        score(request)
        times.append(1e3 * (time.perf_counter() - begin))
    cpu_ms = 1e3 * (time.process_time() - started) / turns
    p50, p99 = np.percentile(times, (50, 99))
    return {"score_p50_ms": float(p50), "score_p99_ms": float(p99), "score_cpu_ms": cpu_ms}


def lookup_speed(drawn: Drawn) -> dict[str, float]:
    """SentencePiece's pieces of the whole catalogue, items a second: three ways to equal pieces."""
    codes = tf.constant(drawn.codes)
    table = tf.constant(drawn.sentencepiece.encode(drawn.codes))
    rows = tf.constant(drawn.random.permutation(drawn.num_items))
    in_graph, gather = tf.function(sid.SentencePieceLookup(drawn.sentencepiece)), tf.function(tf.gather)
    ways: dict[str, Callable[[], Any]] = {
        "in_graph": lambda: in_graph(codes),
        "fast_path": lambda: gather(table, rows),
        "python": lambda: drawn.sentencepiece.encode(drawn.codes),
    }
    np.testing.assert_array_equal(in_graph(codes), table)
    return {f"{name}_items_per_s": _best_rate(way, drawn.num_items) for name, way in ways.items()}


def _best_rate(work: Callable[[], Any], number: int) -> float:
    work()
    return number / min(cost_of(work).wall_s for _ in range(5))


def main(arguments: list[str] | None = None) -> int:
    """Prints progress to standard error, JSON last."""
    parser = argparse.ArgumentParser("python -m benchmarks.ranker", description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=16_384)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--turns", type=int, default=300)
    options = parser.parse_args(arguments)
    drawn = Drawn(options.items, options.rows)
    examples = drawn.examples(options.steps * _BATCH)
    methods: dict[str, dict[str, float]] = {}
    for name, ranker in rankers(drawn).items():
        methods[name] = training_speed(ranker, examples) | scoring_latency(ranker, drawn, options.turns)
        methods[name]["lookups_per_item"] = lookups(ranker)
        print(name, methods[name], file=sys.stderr, flush=True)
    print(json.dumps({"methods": methods, "lookup": lookup_speed(drawn)}, allow_nan=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
