"""A ranker trained in a process of its own: `sharded_process.py OUTPUT WORKERS BATCH_SIZE HOW`; HOW as below.

With 0 workers there is no cluster. Else workers and two parameter servers are servers of this process, which
speak gRPC with each other.
"""

from __future__ import annotations

import dataclasses
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras
from free_ports import free_port

import semid_tf as sid

NUM_ITEMS, NUM_PIECES = 200, 300
CONFIG = sid.RankerConfig(dim=4, num_cross_layers=1, hidden_dims=(4,), dropout=0.0, epochs=3)


def examples() -> sid.Examples:
    """Users who like the half of the catalogue that their history is from."""
    random = np.random.default_rng(0)
    half, n = NUM_ITEMS // 2, 2000
    side = random.integers(0, 2, (n, 1))
    history = random.integers(1, half + 1, (n, 5)) + half * side
    candidates = random.integers(1, half + 1, (n, 2)) + half * np.hstack([side, 1 - side])
    labels = np.tile(np.float32([1, 0]), (n, 1))
    whole = [part.astype(np.int32) for part in (history, candidates)]
    return sid.Examples(np.arange(n, dtype=np.int32), *whole, labels, np.ones_like(labels))


def parameter_servers(workers: int) -> tf.distribute.ParameterServerStrategy:
    """A cluster of servers in this process, which cuts what has more than a few bytes."""
    jobs = {"worker": workers, "ps": 2}
    cluster = tf.train.ClusterSpec(
        {job: [f"localhost:{free_port()}" for _ in range(number)] for job, number in jobs.items()}
    )
    # On a machine of few cores the workers would wait for each other's threads.
    threads = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=workers + 2)
    for job, number in jobs.items():
        for task in range(number):
            tf.distribute.Server(cluster, job_name=job, task_index=task, protocol="grpc", config=threads)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(cluster, rpc_layer="grpc")
    partitioner = tf.distribute.experimental.partitioners.MinSizePartitioner(
        min_shard_bytes=1024, max_shards=2
    )
    return tf.distribute.ParameterServerStrategy(resolver, variable_partitioner=partitioner)


def new_ranker() -> sid.Ranker:
    """Each item has two pieces, by what halves share and by chance."""
    random = np.random.default_rng(1)
    side = np.arange(NUM_ITEMS) // (NUM_ITEMS // 2)
    pieces = np.column_stack([1 + side, random.integers(3, NUM_PIECES, NUM_ITEMS)]).astype(np.int32)
    ranker = sid.Ranker(CONFIG, sid.CatalogueEmbedding.of(pieces, sid.PieceEmbedding(NUM_PIECES, CONFIG.dim)))
    start = random.uniform(-0.05, 0.05, (NUM_PIECES, CONFIG.dim)).astype(np.float32)
    ranker.item_embedding.embedding.table.assign(start)
    return ranker


def fit_from_shards(ranker: sid.Ranker, data: sid.Examples, folder: Path, batch_size: int) -> None:
    """Trains on TFRecord shards, which each worker reads itself."""
    sid.write_examples(data, folder, 3)
    ranker.compile(tf_keras.optimizers.Adam(CONFIG.learning_rate))
    batches = sid.batches_of_workers(lambda worker: sid.example_batches(folder, batch_size, 5, seed=worker))
    ranker.fit(batches, epochs=CONFIG.epochs, steps_per_epoch=len(data) // batch_size, verbose=0)


def check_hashed_ids(strategy: tf.distribute.ParameterServerStrategy) -> None:
    """A sharded table gives the rows that ids hash to."""
    with strategy.scope():
        layer = sid.HashedEmbedding(NUM_PIECES, CONFIG.dim)
    assert len(layer.pieces.table.variables) == 2
    ids = tf.constant([f"item {number}" for number in range(50)])
    rows = tf.gather(tf.convert_to_tensor(layer.pieces.table), layer.piece_ids(ids)[:, 0])
    np.testing.assert_array_equal(layer(ids), rows)


def main(output: Path, workers: int, batch_size: int, optimizer: str) -> None:
    """Trains, and saves scores, the table and where it lies."""
    strategy = parameter_servers(workers) if workers else None
    data, config = examples(), dataclasses.replace(CONFIG, batch_size=batch_size)
    with strategy.scope() if strategy else nullcontext():
        ranker = new_ranker()
        if optimizer == "from shards":
            fit_from_shards(ranker, data, output.parent, batch_size)
        else:
            chosen = tf_keras.optimizers.get(optimizer)
            sid.train_ranker("sharded", ranker, data, config, optimizer=chosen)
    if strategy:
        check_hashed_ids(strategy)
    table = ranker.item_embedding.embedding.table
    devices = [shard.device for shard in getattr(table, "variables", [table])]
    inputs = {"history": tf.constant(data.history), "candidates": tf.constant(data.candidates)}
    whole = sid.gathered_ranker(ranker)
    np.testing.assert_allclose(whole(inputs), ranker(inputs), rtol=1e-5, atol=1e-5)
    np.savez(
        output, scores=whole(inputs), table=whole.item_embedding.embedding.table.numpy(), devices=devices
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
