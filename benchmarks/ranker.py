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
from semid_tf.methods import BASE, ON_TOP, Catalogue, features_of, lookups, num_rows, tokenizer_of

_SPACE = sid.CodeSpace(4, 256)
_DIM, _HISTORY, _CANDIDATES, _BATCH, _SCORED = 64, 50, 5, 512, 1_000
_HALF_SEEN = 10.0


class Drawn:
    """A drawn catalogue, and how often its items were met.

    Args:
        num_items: of the catalogue.
        num_rows: of tables of random hashes and of SentencePiece.
    """

    def __init__(self, num_items: int, num_rows: int) -> None:
        self.num_items, self.num_rows = num_items, num_rows
        self.random = np.random.default_rng(0)
        items = sid.synthetic_items(num_items, dim=_DIM, seed=0)
        config = sid.ResidualKMeansConfig(num_levels=4, codebook_size=256, iterations=3, refinements=0)
        self.codes = sid.fit_residual_kmeans(items.embeddings, config=config).encode(items.embeddings).numpy()
        self.counts = self.random.zipf(1.4, num_items).clip(max=10_000)
        self.sentencepiece = sid.train_sentencepiece(self.codes, self.counts, _SPACE, num_rows)
        pieces = sid.PiecesAndCodes(self.sentencepiece)
        self.catalogue = Catalogue(
            items.item_ids, items.embeddings, self.codes, pieces, self.counts, num_rows, seed=0
        )

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
    of_codes = ("unigram", "bigram", "prefix", "random_sid")
    tables = {name: tokenizer_of(name, drawn.catalogue).num_rows for name in of_codes}
    return {
        "random_hash": _of_rows(features_of("random_hash", drawn.catalogue), drawn.num_rows),
        "dense": _ranker(drawn.catalogue.embeddings, sid.DenseContentEmbedding(_DIM)),
        **{name: _of_rows(features_of(name, drawn.catalogue), number) for name, number in tables.items()},
        "sentencepiece": _of_rows(drawn.sentencepiece.encode(drawn.codes), drawn.num_rows),
        **{f"{name}_on_unigram": _on_unigram(name, drawn) for name in ON_TOP},
    }


def _ranker(features: np.ndarray, layer: tf_keras.layers.Layer) -> sid.Ranker:
    return sid.Ranker(sid.RankerConfig(dim=_DIM), sid.CatalogueEmbedding.of(features, layer))


def _of_rows(rows: np.ndarray, number: int) -> sid.Ranker:
    return _ranker(rows, sid.PieceEmbedding(number, _DIM))


def _on_unigram(name: str, drawn: Drawn) -> sid.Ranker:
    """With own parts; these and the shared ones are trained."""
    unigram = tokenizer_of(BASE, drawn.catalogue)
    base = _of_rows(features_of(BASE, drawn.catalogue), unigram.num_rows)
    own = features_of(name, drawn.catalogue)[:, unigram.num_pieces : -1]
    made = sid.with_own_parts(base, own, int(own.max()) + 1, drawn.counts, _HALF_SEEN)
    made.item_embedding.trainable = True
    return made


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
        methods[name]["lookups_per_item"] = float(lookups(ranker).mean()) if num_rows(ranker) else 0.0
        print(name, methods[name], file=sys.stderr, flush=True)
    print(json.dumps({"methods": methods, "lookup": lookup_speed(drawn)}, allow_nan=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
