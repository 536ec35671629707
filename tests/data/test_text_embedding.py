"""Text embeddings: likeness, seed, degenerate texts."""

from __future__ import annotations

import numpy as np
import pytest

from semid_tf.data import embed_texts
from semid_tf.errors import DataError

TEXTS = ["red apple", "green apple", "red apple", "diesel engine oil", "engine oil 5 l", "", "apple sauce"]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return embed_texts(TEXTS, 4, seed=0)


def test_rows_have_length_one_and_a_text_without_word_is_zero(vectors):
    assert vectors.dtype == np.float32
    assert vectors.shape == (7, 4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 1, 1, 0, 1], atol=1e-6)


def test_likeness_follows_the_shared_words(vectors):
    cosine = vectors @ vectors.T
    assert np.array_equal(vectors[0], vectors[2])
    assert cosine[0, 1] > 0.1
    assert cosine[3, 4] > 0.1
    assert np.abs(cosine[[0, 1, 6]][:, [3, 4]]).max() < 1e-5


def test_full_rank_keeps_the_cosines_of_tf_idf():
    # By hand: words a, b, c and pairs "a b", "a c"; idf = ln(3 / (1 + df)) + 1, each tf is 1.
    common, rare = 1.0, np.log(3 / 2) + 1
    expected = common**2 / (common**2 + 2 * rare**2)
    one, two = embed_texts(["a b", "a c"], 2, seed=0)
    assert one @ two == pytest.approx(expected, abs=1e-5)


def test_numbers_with_point_or_slash_are_one_word():
    vectors = embed_texts(["1/2", "1 2", "5.3", "5 3"], 6, seed=0)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(4), atol=1e-5)


def test_seed_fixes_the_bits(vectors):
    np.testing.assert_array_equal(embed_texts(TEXTS, 4, seed=0), vectors)


def test_columns_beyond_the_span_are_zero():
    vectors = embed_texts(["one", "two"], 8, seed=0)
    assert vectors.shape == (2, 8)
    assert not vectors[:, 2:].any()


def test_one_text_is_enough():
    assert np.abs(embed_texts(["bread"], 3, seed=0)).tolist() == [[1, 0, 0]]


def test_texts_without_any_word_are_refused():
    with pytest.raises(DataError, match="none of the 2 texts has a word; give each item a text"):
        embed_texts(["", "--"], 2, seed=0)
