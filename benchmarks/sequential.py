"""The sequence model on packed rows beside the same model on rows padded to the longest history.

python -m benchmarks.sequential [--items ITEMS --interactions INTERACTIONS] [--loss binary] [--semantic]

Each contender runs in a process of its own, one after the other, `--rounds` times in turn; medians count. The
last line is JSON: `train_sequences_per_s`, `evaluate_users_per_s` and `peak_rss_mb` of `packed` and `padded`,
and the ratios of the speeds.
"""

from __future__ import annotations

import json
import statistics
from typing import NamedTuple

import click
import numpy as np
import tensorflow as tf
import tf_keras

import semid_tf as sid
from benchmarks.clock import cost_of
from benchmarks.processes import in_own_process, tree_peak_rss_mb

_LENGTH, _USERS, _DIM = 50, 256, 64
_WARM_UP, _STEPS, _EVALUATED = 5, 30, 4096


class World(NamedTuple):
    """What both contenders run on."""

    embeddings: np.ndarray
    sequences: sid.Sequences


class Figures(NamedTuple):
    """Of one contender in one round."""

    train_sequences_per_s: float
    evaluate_users_per_s: float
    peak_rss_mb: float


@click.command()
@click.option("--items", default="", help="Parquet of item_id and embedding; none = a made-up world.")
@click.option("--interactions", default="", help="Parquet of user_id, item_id, timestamp.")
@click.option("--loss", default="binary", type=click.Choice(["binary", "full"]), show_default=True)
@click.option("--semantic", is_flag=True, help="The unified model; without it, IDs alone.")
@click.option("--rounds", default=3, show_default=True)
def main(items: str, interactions: str, loss: str, semantic: bool, rounds: int) -> None:
    """Packed rows beside rows padded to 50."""
    found: dict[str, list[Figures]] = {"packed": [], "padded": []}
    for _ in range(rounds):
        for name, figures in found.items():
            figures.append(in_own_process(_measure, name, items, interactions, loss, semantic))
    medians = {name: _medians(figures) for name, figures in found.items()}
    packed, padded = medians["packed"], medians["padded"]
    ratios = {
        "train_speed_up": packed.train_sequences_per_s / padded.train_sequences_per_s,
        "evaluate_speed_up": packed.evaluate_users_per_s / padded.evaluate_users_per_s,
    }
    click.echo(json.dumps({name: figures._asdict() for name, figures in medians.items()} | ratios))


def _medians(rounds: list[Figures]) -> Figures:
    return Figures(*(statistics.median(column) for column in zip(*rounds, strict=True)))


def _measure(name: str, items: str, interactions: str, loss: str, semantic: bool) -> Figures:
    world = _read(items, interactions) if items else _made_up()
    split = sid.leave_one_out(world.sequences)
    model = _model(world, loss, semantic)
    batches = _packed(split.train) if name == "packed" else _padded(split.train)
    trained, evaluated = _train(model, batches), _evaluate(name, model, split, len(world.embeddings))
    return Figures(trained, evaluated, tree_peak_rss_mb())


def _read(items: str, interactions: str) -> World:
    table = sid.read_items(items)
    events, _ = sid.drop_unknown(sid.read_interactions(interactions), table.item_ids)
    return World(table.embeddings.astype(np.float32), sid.user_sequences(table.item_ids, events))


def _made_up() -> World:
    """As large as Amazon Beauty: 22,363 users with five events or more, nine on average."""
    random = np.random.default_rng(0)
    lengths = 5 + np.minimum(random.geometric(0.2, 22_363) - 1, 200)
    popularity = 1 / np.arange(1, 12_102) ** 0.7
    drawn = random.choice(12_101, lengths.sum(), p=popularity / popularity.sum()) + 1
    embeddings = random.normal(size=(12_101, 384)).astype(np.float32) / np.sqrt(384)
    return World(embeddings, sid.Sequences(drawn.astype(np.int32), np.concatenate([[0], np.cumsum(lengths)])))


def _model(world: World, loss: str, semantic: bool) -> sid.SequentialModel:
    num_items, embedding_dim = world.embeddings.shape
    tokens: list[tf_keras.layers.Layer] = [sid.IdToken(num_items, 8 if semantic else _DIM)]
    if semantic:
        token = sid.QuantizedToken(embedding_dim, sid.CodeSpace(3, 256), _DIM)
        token.build(None)
        token.start(world.embeddings, np.ones(num_items, np.float32))
        tokens.append(sid.ContentToken.of(world.embeddings, token))
    mixers = [sid.SelfAttention(2, _DIM, 0.5, seed=block) for block in range(2)]
    items = np.arange(1, num_items + 1)
    judge = sid.FullSoftmax(items) if loss == "full" else sid.BinaryCrossEntropy(items)
    model = sid.SequentialModel(sid.ItemTower(tokens), sid.Backbone(mixers, _LENGTH), judge)
    model.compile(tf_keras.optimizers.Adam(1e-3))
    return model


class Batches(NamedTuple):
    """Batches and the sequences that they hold."""

    batches: list[sid.PackedRows]
    num_sequences: int


def _packed(sequences: sid.Sequences) -> Batches:
    rows = sid.packed(sequences, _LENGTH, 64, np.random.default_rng(0))
    taught = int((sequences.lengths >= 2).sum())
    return Batches(rows.batches(-(-taught // _USERS)), taught)


def _padded(sequences: sid.Sequences) -> Batches:
    """One sequence a row, padded on the left, as the implementations of the papers do."""
    users = np.random.default_rng(0).permutation(np.flatnonzero(sequences.lengths >= 2))
    events = sequences.last(users, _LENGTH + 1)
    known = (events[:, :-1] > 0).astype(np.int32)
    places = np.broadcast_to(np.arange(_LENGTH, 0, -1, dtype=np.int32), known.shape)
    rows = sid.PackedRows(events[:, :-1], events[:, 1:] * known, known, places * known)
    return Batches(rows.batches(-(-len(users) // _USERS)), len(users))


def _train(model: sid.SequentialModel, batches: Batches) -> float:
    """Sequences a second on the wall."""
    inputs = [
        {name: tf.constant(part) for name, part in batch._asdict().items()} for batch in batches.batches
    ]
    spec = {name: tf.TensorSpec((None, part.shape[1]), tf.int32) for name, part in inputs[0].items()}
    step = tf.function(model.train_step, input_signature=[spec])
    for batch in inputs[:_WARM_UP]:
        step(batch)
    cost = cost_of(lambda: [step(batch) for batch in inputs[_WARM_UP : _WARM_UP + _STEPS]])
    return _STEPS * batches.num_sequences / len(inputs) / cost.wall_s


def _evaluate(name: str, model: sid.SequentialModel, split: sid.LeaveOneOut, num_items: int) -> float:
    """Users a second on the wall: state, scores of all items and the rank of the wanted one."""
    targets = split.test.take(np.arange(min(_EVALUATED, len(split.test.items))))
    rank = sid.next_item_ranks if name == "packed" else _padded_ranks
    rank(model, targets, num_items)  # traced once
    return len(targets.items) / cost_of(lambda: rank(model, targets, num_items)).wall_s


def _padded_ranks(model: sid.SequentialModel, targets: sid.Targets, num_items: int) -> None:
    vectors = model.vectors(tf.range(num_items + 1))
    for start in range(0, len(targets.items), _USERS):
        rows = slice(start, start + _USERS)
        histories = targets.histories.last(targets.users[rows], _LENGTH)
        scores = _scores(model, tf.constant(histories), vectors).numpy()
        seen = np.zeros_like(scores, bool)
        np.put_along_axis(seen, np.maximum(histories - 1, 0), True, axis=1)
        sid.ranks_of(scores, targets.items[rows] - 1)
        sid.ranks_of(scores, targets.items[rows] - 1, seen)


@tf.function(reduce_retracing=True)
def _scores(model: sid.SequentialModel, histories: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    state = model.of_vectors(tf.gather(vectors, histories), histories > 0)
    return tf.matmul(state, vectors[1:], transpose_b=True)


if __name__ == "__main__":
    main()
