"""Fits of sequence models: they learn, keep the best epoch, stop, and go on exactly."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from models.sequence_worlds import CONTENT, MIXERS, NUM_ITEMS, backbone, model, quantized, summed_tower

import semid_tf as sid
from semid_tf.evaluation import next_item
from semid_tf.evaluation.ranking import expected_among
from semid_tf.training.sequential import EpochBatches

PROCESS = Path(__file__).with_name("killed_fit.py")
CONFIG = sid.SequenceTraining(epochs=4, max_length=6, batch_rows=8, row_length=8, learning_rate=1e-2, seed=3)


def circling(users: int = 60, length: int = 7) -> sid.Sequences:
    """Users who go from each item to the next: wholly foreseeable."""
    starts = np.random.default_rng(1).integers(0, NUM_ITEMS, users)
    items = (starts[:, None] + np.arange(length)) % NUM_ITEMS + 1
    ends = np.arange(users + 1) * length
    return sid.Sequences(items.ravel().astype(np.int32), ends)


def circles(users: int = 60) -> sid.LeaveOneOut:
    return sid.leave_one_out(circling(users))


def fresh(loss: str = "full", mixer: str = "attention") -> sid.SequentialModel:
    ids = sid.IdToken(NUM_ITEMS, 4, dropout=0.1, seed=8)
    tower = sid.ItemTower([sid.ContentToken.of(CONTENT, quantized()), ids])
    backbone = sid.Backbone([MIXERS[mixer]()], 6, 8, 0.1, seed=9)
    losses = {"full": lambda: sid.FullSoftmax(range(1, NUM_ITEMS + 1)), "binary": _binary}
    return sid.SequentialModel(tower, backbone, losses[loss]())


def _binary() -> sid.SequenceLoss:
    return sid.BinaryCrossEntropy(range(1, NUM_ITEMS + 1), seed=2)


@pytest.mark.parametrize(
    ("loss", "mixer"), [("full", "attention"), ("full", "gated"), ("binary", "frequency")]
)
def test_it_learns_what_can_be_foreseen(loss: str, mixer: str) -> None:
    split, made = circles(), fresh(loss, mixer)
    sid.fit_sequential(
        "", made, split, NUM_ITEMS, replace(CONFIG, epochs=60, patience=60, learning_rate=3e-2)
    )
    ranks = sid.next_item_ranks(made, split.test, NUM_ITEMS).full
    assert sid.ranking_figures(ranks, [2])["recall@2"] > 0.6, "chance is .1"


@pytest.mark.parametrize("loss", ["full", "binary"])
def test_a_fit_that_was_stopped_ends_with_the_weights_of_an_unbroken_one(loss: str, tmp_path: Path) -> None:
    split, whole, resumed = circles(), fresh(loss), fresh(loss)
    sid.fit_sequential("", whole, split, NUM_ITEMS, CONFIG)
    stopper = tf_keras.callbacks.LambdaCallback(on_epoch_begin=_stop_before(2))
    with pytest.raises(KeyboardInterrupt):
        sid.fit_sequential("", fresh(loss), split, NUM_ITEMS, CONFIG, tmp_path, [stopper])
    sid.fit_sequential("", resumed, split, NUM_ITEMS, CONFIG, tmp_path)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def _stop_before(epoch: int):  # type: ignore[no-untyped-def]
    def stop(at: int, logs: object) -> None:
        if at == epoch:
            raise KeyboardInterrupt

    return stop


def test_a_fit_goes_on_where_a_killed_process_left_off(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    died = subprocess.run([sys.executable, PROCESS, tmp_path], env=environment, timeout=200)
    assert died.returncode == -signal.SIGKILL
    whole, resumed, begun = fresh(), fresh(), list[int]()
    sid.fit_sequential("", whole, circles(), NUM_ITEMS, CONFIG)
    watch = tf_keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    sid.fit_sequential("", resumed, circles(), NUM_ITEMS, CONFIG, tmp_path, [watch])
    assert begun == [2, 3]
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_refit_goes_on_too(tmp_path: Path) -> None:
    sequences, whole, resumed = circling(), fresh(), fresh()
    sid.refit_sequential("", whole, sequences, CONFIG)
    stopper = tf_keras.callbacks.LambdaCallback(on_epoch_begin=_stop_before(2))
    with pytest.raises(KeyboardInterrupt):
        sid.refit_sequential("", fresh(), sequences, CONFIG, tmp_path, [stopper])
    sid.refit_sequential("", resumed, sequences, CONFIG, tmp_path)
    done, nothing_left = fresh(), tf_keras.callbacks.LambdaCallback(on_epoch_begin=_stop_before(4))
    sid.refit_sequential("", done, sequences, CONFIG, tmp_path, [nothing_left])
    for a, b, c in zip(*(one.get_weights() for one in (whole, resumed, done)), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


def test_checkpoints_of_other_settings_or_data_are_refused(tmp_path: Path) -> None:
    split, config = circles(), replace(CONFIG, epochs=1)
    sid.fit_sequential("", fresh(), split, NUM_ITEMS, config, tmp_path)
    judged_otherwise = split.validation._replace(items=split.validation.items[::-1])
    for other, settings in (
        (split, replace(config, learning_rate=0.1)),
        (split._replace(validation=judged_otherwise), config),
    ):
        with pytest.raises(sid.ProvenanceError, match="give another folder for checkpoints"):
            sid.fit_sequential("", fresh(), other, NUM_ITEMS, settings, tmp_path)
    with pytest.raises(sid.ProvenanceError, match="give another folder for checkpoints"):
        sid.refit_sequential("", fresh(), split.train, config, tmp_path)


def test_the_last_events_have_no_part_in_a_fit() -> None:
    sequences, fits = circling(), []
    for last in (sequences.items[6::7], sequences.items[0::7]):
        items = sequences.items.copy()
        items[6::7] = last
        split, made = sid.leave_one_out(sequences._replace(items=items)), fresh()
        np.testing.assert_array_equal(split.test.items, last)
        best = sid.fit_sequential("", made, split, NUM_ITEMS, replace(CONFIG, epochs=2))
        fits.append([*made.get_weights(), best.figures])
    for a, b in zip(*fits, strict=True):
        np.testing.assert_array_equal(a, b)


def test_batches_of_any_size_are_traced_once() -> None:
    made = fresh()
    batches = EpochBatches(circling(users=23), CONFIG)
    sizes = {len(batch["items"]) for batch in itertools.islice(batches.dataset(0), batches.steps_per_epoch)}
    assert len(sizes) == 2
    sid.refit_sequential("", made, circling(users=23), replace(CONFIG, epochs=2))
    assert made.train_tf_function.experimental_get_tracing_count() == 1


def test_histories_of_any_length_are_traced_a_few_times_and_never_again() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(3, 30, 1200)
    items = random.integers(1, NUM_ITEMS + 1, lengths.sum()).astype(np.int32)
    targets = sid.leave_one_out(sid.Sequences(items, np.concatenate([[0], np.cumsum(lengths)]))).test
    tower = summed_tower()
    made = sid.SequentialModel(tower, sid.Backbone([], 30, 0), sid.FullSoftmax(range(1, NUM_ITEMS + 1)))
    traced = [next_item._scores.experimental_get_tracing_count()]
    for rows in (slice(None), slice(None), slice(0, 700), slice(300, 310)):
        sid.masked_ranks(made, targets.take(np.arange(1200)[rows]), NUM_ITEMS)
        traced.append(next_item._scores.experimental_get_tracing_count())
    assert traced[1] - traced[0] <= 3 and len(set(traced[1:])) == 1


def test_it_stops_when_nothing_gets_better_and_keeps_the_best() -> None:
    split, made = circles(), sid.SequentialModel(summed_tower(), backbone(), sid.FullSoftmax(range(1, 21)))
    config = replace(CONFIG, epochs=30, patience=2, learning_rate=0.0)
    best = sid.fit_sequential("", made, split, NUM_ITEMS, config)
    assert len(best.figures) == 3 and best.best == 0
    ranks = sid.next_item_ranks(made, best.targets, NUM_ITEMS).full_masked
    assert sid.ranking_figures(ranks, [10])["ndcg@10"] == pytest.approx(best.figures[0]["ndcg@10"])


def test_epochs_can_be_judged_among_some_items() -> None:
    made = fresh()
    best = sid.fit_sequential("", made, circles(), NUM_ITEMS, replace(CONFIG, epochs=4, judged_among=6))
    assert best.best == np.argmax([figures["ndcg@10 among 6"] for figures in best.figures])
    ranks = sid.next_item_ranks(made, best.targets, NUM_ITEMS).full_masked
    expected = expected_among(ranks, NUM_ITEMS - 1, 6, 10)
    assert best.figures[best.best] | expected == pytest.approx(best.figures[best.best])
    most = sid.BestEpoch(best.targets, NUM_ITEMS, patience=1, among=99)
    assert most.among == NUM_ITEMS - 1


def test_a_loss_that_is_not_finite_ends_the_fit() -> None:
    made = fresh()
    made.tower.tokens[1].table.assign(tf.fill((NUM_ITEMS + 1, 4), np.nan))
    with pytest.raises(sid.TrainingError, match="the loss is not finite in epoch 1, step 1"):
        sid.fit_sequential("", made, circles(), NUM_ITEMS, CONFIG)


def test_what_nobody_can_be_judged_by_is_refused() -> None:
    short = sid.leave_one_out(circling(length=2))
    with pytest.raises(sid.DataError, match="validation has no targets to judge epochs by"):
        sid.fit_sequential("", fresh(), short, NUM_ITEMS, CONFIG)


def test_what_teaches_nothing_is_refused() -> None:
    with pytest.raises(sid.DataError, match="no user has two training events to learn from"):
        sid.fit_sequential("", fresh(), sid.leave_one_out(circling(length=3)), NUM_ITEMS, CONFIG)
    with pytest.raises(sid.DataError, match="no user has two training events to learn from"):
        sid.refit_sequential("", fresh(), circling(length=1), CONFIG)


@pytest.mark.parametrize("length", [5, 8])
def test_training_and_backbone_must_look_at_histories_of_one_length(length: int) -> None:
    config = replace(CONFIG, max_length=length)
    message = f"max_length is {length} in training and 6 in the backbone; both must agree"
    with pytest.raises(sid.ConfigError, match=message):
        sid.fit_sequential("", fresh(), circles(), NUM_ITEMS, config)
    with pytest.raises(sid.ConfigError, match=message):
        sid.refit_sequential("", fresh(), circling(), config)


def test_a_row_too_short_for_the_longest_history_is_refused() -> None:
    with pytest.raises(sid.ConfigError, match="row_length must be at least max_length, 50, got 40"):
        sid.SequenceTraining(row_length=40)


def test_ranks_equal_scores_one_by_one() -> None:
    split = circles(users=9)
    made = model()
    negatives = sid.draw_unseen(circling(users=9), split.test.users, NUM_ITEMS, 5, seed=1)
    ranks = sid.next_item_ranks(made, split.test, NUM_ITEMS, negatives)
    np.testing.assert_array_equal(sid.masked_ranks(made, split.test, NUM_ITEMS), ranks.full_masked)
    vectors = made.vectors(tf.range(NUM_ITEMS + 1)).numpy()
    for row, wanted in enumerate(split.test.items):
        history = split.test.histories.last(split.test.users[[row]], 6)
        scores = vectors @ made(tf.constant(history)).numpy()[0]
        above = {
            item for item in range(1, NUM_ITEMS + 1) if item != wanted and scores[item] >= scores[wanted]
        }
        assert ranks.full[row] == len(above)
        assert ranks.full_masked[row] == len(above - set(history[0].tolist()))
        assert ranks.sampled[row] == len(above & set(negatives[row].tolist()))


def test_unseen_items_are_unseen_and_different() -> None:
    sequences = circling(users=20)
    drawn = sid.draw_unseen(sequences, np.arange(20), NUM_ITEMS, 8, seed=4)
    for user, items in enumerate(drawn):
        touched = sequences.items[sequences.starts[user] : sequences.starts[user + 1]]
        assert len(set(items.tolist())) == 8 and not set(items.tolist()) & set(touched.tolist())
        assert items.min() >= 1 and items.max() <= NUM_ITEMS
