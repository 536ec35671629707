"""Quality, speed and bound, where the answer is known."""

from __future__ import annotations

import subprocess
import sys
import time
from subprocess import PIPE

import numpy as np
import pytest
import tensorflow as tf

import semid_tf as sid
from benchmarks.batches import BATCH_ITEMS, full_batches, in_batches
from benchmarks.bound import MatrixProducts
from benchmarks.clock import Cost, cost_of
from benchmarks.contenders import Contender, Product
from benchmarks.holdout import Holdout
from benchmarks.processes import tree_cpu_s, tree_peak_rss_mb
from benchmarks.quality import Quality, judge
from benchmarks.quantizer import Fitted, figures_of
from benchmarks.report import Figures, markdown_table
from benchmarks.speed import items_per_s


class Halves(Contender):
    """One level that codes a number below 1 as 0 and any other as 1; decodes to 0 and 2."""

    def fit(self, embeddings: np.ndarray) -> None:
        """Knows all that it needs."""

    def encode(self, embeddings: np.ndarray) -> np.ndarray:
        return (embeddings >= 1).astype(np.int32)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return 2 * codes.astype(np.float32)

    def products(self) -> list[Product]:
        return []


def test_quality_of_four_numbers_by_hand() -> None:
    embeddings = np.array([[0], [0.5], [2], [3]], np.float32)
    holdout = Holdout(train=np.array([0, 2]), new=np.array([1, 3]))
    quality = judge(Halves(), embeddings, holdout, sid.CodeSpace(1, 4))
    # Train: 0 and 2 come back unchanged. New: errors .25 and 1 over variances 1.5625 each.
    assert quality.normalized_mse == 0
    assert quality.normalized_mse_new == pytest.approx(1.25 / 3.125)
    assert quality.unique_rate == 2 / 4
    assert quality.code_usage == [2 / 4]


def test_batches_cover_all_and_timed_ones_are_whole() -> None:
    values = np.arange(2 * BATCH_ITEMS + 5)
    np.testing.assert_array_equal(in_batches(lambda batch: batch + 1, values), values + 1)
    assert [len(batch) for batch in full_batches(values, most=8)] == [BATCH_ITEMS] * 2
    assert [len(batch) for batch in full_batches(values, most=1)] == [BATCH_ITEMS]
    assert [len(batch) for batch in full_batches(values[:7], most=8)] == [7]


def test_runners_take_turns_and_a_pause_shows_in_the_speed() -> None:
    calls = []

    def pause(name: str, seconds: float) -> None:
        calls.append(name)
        time.sleep(seconds)

    batches = [np.zeros((40, 1))] * 3
    runners = {"a": lambda _: pause("a", 0.004), "b": lambda _: pause("b", 0.02)}
    started = time.perf_counter()
    speeds = items_per_s(runners, batches, turns=2)
    seconds = time.perf_counter() - started
    assert calls == ["a"] * 4 + ["b"] * 4 + ["a"] * 4 + ["b"] * 4
    assert speeds["a"].shape == speeds["b"].shape == (2,)
    # A pause lasts at least as long as it should, and at most as long as all of them together.
    assert ((40 / seconds <= speeds["a"]) & (speeds["a"] <= 40 / 0.004)).all()
    assert ((40 / seconds <= speeds["b"]) & (speeds["b"] <= 40 / 0.02)).all()


def test_the_bound_does_the_products_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    matmul = tf.linalg.matmul

    def noted(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
        done.append((tuple(left.shape), tuple(right.shape)))
        return matmul(left, right)

    monkeypatch.setattr(tf.linalg, "matmul", noted)
    MatrixProducts([Product(3, 5), Product(5, 2, rows_per_item=4)])(np.zeros((10, 3), np.float32))
    assert done == [((10, 3), (3, 5)), ((40, 5), (5, 2))]


def test_the_share_of_the_bound_is_taken_in_each_turn() -> None:
    fitted = Fitted(Halves(), Cost(3, 2), Quality(0.1, 0.2, 0.3, [0.4]))
    figures = figures_of(fitted, encode=np.array([1, 2, 9]), bound=np.array([2, 8, 10]))
    assert figures == Figures(0.1, 0.2, 0.3, [0.4], 3, 2, 2, 8, 0.5)


def test_waiting_costs_no_cpu_and_computing_does() -> None:
    waited = cost_of(lambda: time.sleep(0.05))
    assert waited.wall_s >= 0.05
    until = time.process_time() + 0.05

    def compute() -> None:
        while time.process_time() < until:
            pass

    assert cost_of(compute).cpu_s >= 0.04


def test_the_table_has_a_row_a_contender() -> None:
    figures = Figures(0.5, 0.25, 0.875, [1.0, 0.5], 12.34, 6.0, 123_456.7, 400_000.0, 0.309)
    table = markdown_table({"one": figures, "two": figures._replace(code_usage=[1.0, 1.0])})
    header, rule, *rows = table.splitlines()
    assert rows == [
        "| one | 0.5000 | 0.2500 | 87.50% | 100.0% 50.0% | 12.3 | 6.0 | 123,457 | 31% |",
        "| two | 0.5000 | 0.2500 | 87.50% | all | 12.3 | 6.0 | 123,457 | 31% |",
    ]
    assert header.count("|") == rule.count("|") == rows[0].count("|")


def test_the_cost_of_a_started_process_counts_while_it_runs() -> None:
    code = "x = bytearray(80 << 20)\nfor _ in range(8_000_000): pass\nprint(flush=True); input()"
    before = tree_cpu_s()
    with subprocess.Popen([sys.executable, "-c", code], stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert tree_cpu_s() - before >= 0.04
        assert tree_peak_rss_mb() >= 80
        process.communicate(b"\n")
    assert tree_cpu_s() - before >= 0.04
