"""Functions over more rows than go through at once."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from semid_tf.quantizer.chunks import in_blocks, in_chunks, rows_at_once

SCORES = 2**18
BLOCK = rows_at_once(SCORES)


def test_rows_hold_two_million_scores_or_are_single() -> None:
    assert [rows_at_once(scores) for scores in (2048, SCORES, 2**21, 2**22)] == [1024, 8, 1, 1]


@pytest.mark.parametrize("rows", [1, 5, 6, 12])
def test_chunks_have_at_most_so_many_rows_in_order(rows: int) -> None:
    seen = []

    def doubled(chunk: np.ndarray) -> tf.Tensor:
        seen.append(len(chunk))
        return tf.constant(2 * chunk)

    np.testing.assert_array_equal(in_chunks(doubled, np.arange(rows), 5), 2 * np.arange(rows))
    assert max(seen) <= 5


@pytest.mark.parametrize("rows", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3])
def test_blocks_have_few_rows_in_order(rows: int) -> None:
    def sums(block: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([tf.debugging.assert_less_equal(tf.shape(block)[0], BLOCK)]):
            return tf.cast(tf.stack([block[:, 0], block[:, 0] + block[:, 1]], axis=1), tf.int32)

    values = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
    blocked = tf.function(lambda given: in_blocks(sums, given, SCORES, 2), autograph=False)
    found = blocked(values)
    assert found.shape[1] == 2
    np.testing.assert_array_equal(found, np.stack([values[:, 0], values.sum(axis=1)], axis=1))


@pytest.mark.parametrize("scores", [SCORES, 1024])
def test_without_a_graph_or_with_few_scores_all_rows_go_at_once(scores: int) -> None:
    seen = []

    def ones(block: tf.Tensor) -> tf.Tensor:
        seen.append(len(block))
        return tf.ones_like(block, tf.int32)

    in_blocks(ones, tf.zeros((3 * BLOCK, 1)), scores, 1)
    assert seen == [3 * BLOCK]
