"""Metrics in Keras: one pass over batches gives what NumPy gives over all, in every way they are run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given
from hypothesis import strategies as st

import semid_tf as sid

SPACE = sid.CodeSpace(2, 6)
METRICS: list[Callable[[], tf_keras.metrics.Metric]] = [
    lambda: sid.CodesUsed(SPACE),
    lambda: sid.CodePerplexity(SPACE),
    lambda: sid.UniqueRate(SPACE),
    lambda: sid.ItemsPerID(SPACE),
]


def test_every_public_metric_is_tried() -> None:
    shown = [getattr(sid, name) for name in sid.__all__]
    public = {part for part in shown if isinstance(part, type) and issubclass(part, tf_keras.metrics.Metric)}
    assert public == {type(make()) for make in METRICS} | {sid.NormalizedMSE}


def some_codes(rows: int, seed: int = 0) -> np.ndarray:
    """Uneven codes: int32 [rows, 2] in [0, 6)."""
    return np.random.default_rng(seed).binomial(5, [0.2, 0.6], (rows, 2)).astype(np.int32)


def expected(codes: np.ndarray, space: sid.CodeSpace = SPACE) -> dict[str, float]:
    """All figures, by NumPy over all rows."""
    sizes = np.unique(codes, axis=0, return_counts=True)[1]
    figures = {"unique_rate": len(sizes) / len(codes)}
    figures |= {"items_per_id_mean": len(codes) / len(sizes), "items_per_id_max": sizes.max()}
    for level in range(codes.shape[1]):
        figures[f"codes_used_{level}"] = len(set(codes[:, level].tolist()))
        figures[f"perplexity_{level}"] = sid.perplexity(codes, space)[level]
    return figures


def figures_of(metric: tf_keras.metrics.Metric) -> dict[str, float]:
    """The result by name."""
    result = metric.result()
    named = result if isinstance(result, dict) else {metric.name: result}
    return {name: float(figure) for name, figure in named.items()}


def assert_figures(found: dict[str, float], wanted: dict[str, float]) -> None:
    """What was found agrees, and something was."""
    assert found
    assert found == pytest.approx({name: wanted[name] for name in found}, rel=1e-12)


@pytest.mark.parametrize("make", METRICS)
@pytest.mark.parametrize("size", [1, 7, 50])
def test_batches_of_any_size(make: Callable[[], tf_keras.metrics.Metric], size: int) -> None:
    codes, metric = some_codes(50), make()
    for first in range(0, 50, size):
        metric.update_state(codes[first : first + size])
    assert_figures(figures_of(metric), expected(codes))
    metric.reset_state()
    metric.update_state(codes[:3])
    assert_figures(figures_of(metric), expected(codes[:3]))


@pytest.mark.parametrize("make", METRICS)
def test_in_a_graph(make: Callable[[], tf_keras.metrics.Metric]) -> None:
    codes, metric = some_codes(60), make()

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.int32)])
    def update(batch: tf.Tensor) -> None:
        metric.update_state(batch)

    for batch in np.split(codes, [13, 40]):
        update(batch)
    assert_figures(figures_of(metric), expected(codes))


@pytest.mark.parametrize("make", METRICS)
def test_padding_does_not_count(make: Callable[[], tf_keras.metrics.Metric]) -> None:
    codes, metric = some_codes(40), make()
    weights = (np.arange(40) % 3).astype(np.float32)
    metric.update_state(codes.reshape(8, 5, 2), sample_weight=weights.reshape(8, 5))
    assert_figures(figures_of(metric), expected(codes[weights > 0]))


@pytest.mark.parametrize("make", METRICS)
def test_config_round_trip(make: Callable[[], tf_keras.metrics.Metric]) -> None:
    again = tf_keras.metrics.deserialize(tf_keras.metrics.serialize(make()))
    again.update_state(some_codes(30))
    assert_figures(figures_of(again), expected(some_codes(30)))


class Codes(tf_keras.Model):
    """Passes codes on."""

    def call(self, inputs: Any) -> tf.Tensor:
        return tf.cast(inputs, tf.int32)


def test_compiled_and_evaluated() -> None:
    codes = some_codes(70)
    model = Codes()
    model.compile(metrics=[make() for make in METRICS])
    for _ in range(2):  # each evaluation begins anew
        found = model.evaluate(codes, codes, batch_size=16, verbose=0, return_dict=True)
        found.pop("loss", None)
        assert_figures(found, expected(codes))
    assert set(found) == set(expected(codes))


def test_compiled_with_weights() -> None:
    codes = some_codes(70)
    weights = (np.arange(70) % 2).astype(np.float32)
    model = Codes()
    model.compile(weighted_metrics=[make() for make in METRICS])
    found = model.evaluate(codes, codes, sample_weight=weights, batch_size=16, verbose=0, return_dict=True)
    found.pop("loss", None)
    assert_figures(found, expected(codes[weights > 0]))


def test_88_bits_are_hashed_and_do_not_wrap() -> None:
    space = sid.CodeSpace(8, 2048)
    codes = np.full((64, 8), 2047, np.int32)
    codes[:, 0] = np.arange(64) // 2 * 64  # would leave 64 bits at the upper end
    unique, each = sid.UniqueRate(space), sid.ItemsPerID(space)
    unique.update_state(codes)
    each.update_state(codes)
    assert float(unique.result()) == 0.5
    assert figures_of(each) == {"items_per_id_mean": 2.0, "items_per_id_max": 2.0}


def test_63_bits_are_packed() -> None:
    space = sid.CodeSpace(7, 512)
    codes = np.random.default_rng(0).choice([0, 511], (500, 7)).astype(np.int32)
    metric = sid.UniqueRate(space)
    metric.update_state(codes)
    assert float(metric.result()) == sid.unique_rate(codes)


def test_codes_out_of_range_are_refused() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="codes_used: codes are out of range"):
        sid.CodesUsed(SPACE).update_state([[0, 6]])


def test_before_the_first_item() -> None:
    assert figures_of(sid.CodesUsed(SPACE)) == {"codes_used_0": 0, "codes_used_1": 0}
    assert np.isnan(list(figures_of(sid.CodePerplexity(SPACE)).values())).all()
    assert np.isnan(figures_of(sid.UniqueRate(SPACE))["unique_rate"])
    assert figures_of(sid.ItemsPerID(SPACE))["items_per_id_max"] == 0
    assert np.isnan(float(sid.NormalizedMSE().result()))


@given(st.integers(0, 2**32), st.integers(1, 30), st.booleans(), st.floats(-1000, 1000))
def test_mse_in_one_pass(seed: int, size: int, weighted: bool, shift: float) -> None:
    random = np.random.default_rng(seed)
    embeddings = (random.normal(size=(30, 5)) + shift).astype(np.float32)
    restored = (embeddings + random.normal(scale=0.3, size=(30, 5))).astype(np.float32)
    weights = random.integers(0, 4, 30) + (np.arange(30) == 0) if weighted else None
    metric = sid.NormalizedMSE()
    for first in range(0, 30, size):
        part = slice(first, first + size)
        metric.update_state(embeddings[part], restored[part], None if weights is None else weights[part])
    wanted = sid.normalized_mse(embeddings.astype(np.float64), restored.astype(np.float64), weights)
    if np.isfinite(wanted) and (weights is None or (weights > 0).sum() > 1):
        assert float(metric.result()) == pytest.approx(wanted, rel=1e-6)


def test_mse_compiled_and_evaluated() -> None:
    embeddings = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32) + 2
    model = tf_keras.Sequential([tf_keras.layers.Rescaling(0.5)])
    model.compile(loss="mse", metrics=[sid.NormalizedMSE()])
    for rows in (50, 20):
        found = model.evaluate(
            embeddings[:rows], embeddings[:rows], batch_size=8, verbose=0, return_dict=True
        )
        wanted = sid.normalized_mse(embeddings[:rows], embeddings[:rows] / 2)
        assert found["normalized_mse"] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("junk", [np.inf, np.nan])
def test_mse_of_rows_of_weight_zero_that_hold_no_numbers(junk: float) -> None:
    embeddings, weights = np.float32([[0.0], [junk], [2.0], [4.0]]), np.array([1, 0, 1, 1])
    metric = sid.NormalizedMSE()
    metric.update_state(embeddings, np.float32([[0.0], [1.0], [1.0], [4.0]]), weights)
    assert float(metric.result()) == 0.125


def test_mse_of_constant_data_is_no_number() -> None:
    metric = sid.NormalizedMSE()
    metric.update_state(np.full((9, 1), 0.1, np.float32), np.zeros((9, 1)))
    assert np.isnan(float(metric.result()))
    metric.reset_state()
    metric.update_state([[0.0], [2.0]], [[1.0], [1.0]])
    assert float(metric.result()) == 1


def test_mse_fits_into_a_config() -> None:
    again = tf_keras.metrics.deserialize(tf_keras.metrics.serialize(sid.NormalizedMSE(name="error")))
    again.update_state([[0.0], [2.0]], [[1.0], [1.0]])
    assert (again.name, float(again.result())) == ("error", 1)


@pytest.mark.parametrize("sizes", [(6, 3), (3, 6), (2**40, 6), (2**40, 2**30)])
def test_levels_of_unequal_size(sizes: tuple[int, int]) -> None:
    """Within 63 bits and beyond; only the small spaces have a table of codes."""
    space = sid.CodeSpace(2, sizes)
    codes = np.minimum(some_codes(200), np.array(sizes) - 1)
    wanted = expected(codes, sid.CodeSpace(2, tuple(min(size, 6) for size in sizes)))
    metrics = [sid.UniqueRate(space), sid.ItemsPerID(space)]
    metrics += [sid.CodesUsed(space), sid.CodePerplexity(space)] if max(sizes) <= 6 else []
    for metric in metrics:
        for batch in np.array_split(codes, 3):
            metric.update_state(batch)
        assert_figures(figures_of(metric), wanted)
        again = type(metric).from_config(metric.get_config())
        assert again.code_space == space


def test_a_code_behind_a_smaller_level_is_refused() -> None:
    metric = sid.CodesUsed(sid.CodeSpace(2, (6, 3)))
    metric.update_state([[5, 2]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="codes are out of range"):
        metric.update_state([[2, 5]])
