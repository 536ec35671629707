"""The nearest codeword by one matrix product, against all distances in float64."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reference.residual_quantization import squared_distances

from semid_tf.quantizer.distances import fold_codebook, highest, nearest_codes


def found(residual: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Codes by the library."""
    codes = nearest_codes(tf.constant(residual, tf.float32), fold_codebook(tf.constant(codebook, tf.float32)))
    assert codes.dtype == tf.int32
    return codes.numpy()


@st.composite
def small_integers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and codewords on a small grid: no rounding, many ties."""
    dim, items, size = draw(st.integers(1, 4)), draw(st.integers(1, 8)), draw(st.integers(1, 12))
    numbers = st.integers(-3, 3)
    return (
        draw(hnp.arrays(np.float32, (items, dim), elements=numbers)),
        draw(hnp.arrays(np.float32, (size, dim), elements=numbers)),
    )


@given(small_integers())
def test_without_rounding_it_is_exact_and_ties_go_to_the_lowest_index(
    drawn: tuple[np.ndarray, np.ndarray],
) -> None:
    residual, codebook = drawn
    np.testing.assert_array_equal(
        found(residual, codebook), squared_distances(residual, codebook).argmin(axis=1)
    )


@given(st.integers(0, 2**32 - 1), st.integers(1, 64), st.integers(2, 100), st.floats(-3, 3))
def test_it_is_exact_wherever_two_codewords_differ_by_more_than_rounding(
    seed: int, dim: int, size: int, exponent: float
) -> None:
    random = np.random.default_rng(seed)
    scale = np.float32(10**exponent)
    residual = random.normal(size=(20, dim)).astype(np.float32) * scale
    codebook = random.normal(size=(size, dim)).astype(np.float32) * scale
    distances = squared_distances(residual, codebook)
    two = np.sort(distances, axis=1)[:, :2]
    clear = two[:, 1] - two[:, 0] > 1e-5 * dim * scale**2
    np.testing.assert_array_equal(found(residual, codebook)[clear], distances.argmin(axis=1)[clear])
    assert clear.mean() > 0.5


@pytest.mark.parametrize("size", [1, 5])
def test_equal_codewords_give_the_first(size: int) -> None:
    codebook = np.tile(np.float32([0.1, 0.7, -1.3]), (size, 1))
    assert not found(np.float32([[5, 5, 5], [0.1, 0.7, -1.3]]), codebook).any()


def test_no_items_have_no_codes() -> None:
    assert found(np.zeros((0, 3)), np.ones((4, 3))).shape == (0,)


@pytest.mark.parametrize("size", [127, 128, 256, 1000, 2048])
def test_the_first_of_many_equal_highest_scores(size: int) -> None:
    scores = np.random.default_rng(0).integers(0, 3, (500, size)).astype(np.float32)
    scores[0, :-1], scores[0, -1] = 0, 1
    np.testing.assert_array_equal(highest(tf.constant(scores)), scores.argmax(axis=1))
