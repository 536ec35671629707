"""Byte-pair merges: by hand, against SentencePiece's own trainer, and the model made of them."""

from __future__ import annotations

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf

import semid_tf as sid
from semid_tf.tokenization.alphabet import alphabet, code_texts
from semid_tf.tokenization.merges import merge_pieces
from semid_tf.tokenization.sentencepiece import falling_scores

SPACE = sid.CodeSpace(3, 16)


@pytest.fixture(scope="module")
def counts(fitted_codes: np.ndarray) -> np.ndarray:
    """Few items have many interactions; a third has none."""
    return np.random.default_rng(0).zipf(1.6, len(fitted_codes)).clip(max=500) - 1


def words(tokenizer: sid.SentencePieceTokenizer) -> list[str]:
    """What each piece stands for, by SentencePiece itself."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    return [processor.id_to_piece(i) for i in range(processor.vocab_size())]


def test_merges_by_hand() -> None:
    space, codes = sid.CodeSpace(3, 4), np.array([[0, 1, 2], [0, 1, 3], [3, 1, 2]])
    a, b, c = code_texts(codes[:1], space)[0]
    merges = sid.learn_merges(codes, np.array([5, 4, 2]), space, 3)
    assert merges[0] == a + b  # 9 times; b + c is met 7 times, and 2 times once a + b is merged
    assert merges[1] == a + b + c
    assert len(merges) == 3


def test_one_merge_a_round_is_what_sentencepiece_learns(fitted_codes: np.ndarray) -> None:
    # Powers of two tell any two sets of items apart, so that no two pairs are equally frequent.
    distinct = np.unique(fitted_codes, axis=0)[::40][:24]
    counts = 2 ** np.arange(3, 3 + len(distinct))
    merges = sid.learn_merges(distinct, counts, SPACE, 30)
    trained = sid.train_sentencepiece(distinct, counts, SPACE, 2 + 48 + 30)
    assert words(trained)[2:32] == merges


@pytest.mark.parametrize("merges_per_round", [1, 7, 100])
def test_the_model_segments_as_the_merges_do(
    fitted_codes: np.ndarray, counts: np.ndarray, merges_per_round: int
) -> None:
    merges = sid.learn_merges(fitted_codes, counts, SPACE, 100, merges_per_round)
    tokenizer = sid.tokenizer_of_merges(merges, SPACE)
    assert words(tokenizer)[2:] == [*merges, *alphabet(SPACE)]
    assert tokenizer.num_rows == 2 + 100 + 48
    ranks = {text: rank for rank, text in enumerate(merges)}
    row_of = {text: row for row, text in enumerate(words(tokenizer))}
    found = tokenizer.encode(fitted_codes)
    for text, pieces in zip(code_texts(fitted_codes, SPACE), found, strict=True):
        assert [row_of[piece] for piece in merge_pieces(tuple(text), ranks)] == [
            piece for piece in pieces if piece
        ]
    np.testing.assert_array_equal(tokenizer.encode_in_graph(tf.constant(fitted_codes)), found)


def test_rounds_of_many_merges_need_hardly_more_pieces(fitted_codes: np.ndarray, counts: np.ndarray) -> None:
    def pieces(merges_per_round: int) -> float:
        merges = sid.learn_merges(fitted_codes, counts, SPACE, 200, merges_per_round)
        used = (sid.tokenizer_of_merges(merges, SPACE).encode(fitted_codes) > 0).sum(axis=1)
        return np.average(used, weights=counts)

    assert pieces(1) <= pieces(50) < 1.1 * pieces(1)


def test_nothing_is_left_to_merge() -> None:
    merges = sid.learn_merges(np.array([[0, 1, 2]]), np.array([1]), SPACE, 100)
    assert len(merges) == 2


def test_a_hundred_thousand_rows() -> None:
    random = np.random.default_rng(0)
    space = sid.CodeSpace(4, 256)
    codes = random.integers(0, 256, (60_000, 4))
    merges = sid.learn_merges(codes, random.zipf(1.5, 60_000).clip(max=1000), space, 100_000, 25_000)
    tokenizer = sid.tokenizer_of_merges(merges, space)
    assert tokenizer.num_rows == 2 + 100_000 + 1024
    assert (tokenizer.encode(codes[:2000]) > 0).sum(axis=1).mean() < 3


def test_no_two_merges_have_one_score_however_many_there_are() -> None:
    edge = 2**24
    ranks = np.concatenate([np.arange(3), edge + np.arange(-2, 4), [2 * edge + 1, 2 * edge + 2, 50 * edge]])
    scores = falling_scores(ranks)
    assert scores.dtype == np.float32
    assert (np.diff(scores) < 0).all()
    np.testing.assert_array_equal(scores[:6], -ranks[:6])  # whole numbers while these are exact


def test_bad_numbers_are_told() -> None:
    with pytest.raises(sid.ConfigError, match="must be at least 1, got 0 and 1"):
        sid.learn_merges(np.zeros((1, 3), int), np.ones(1), SPACE, 0)


@pytest.mark.parametrize("model_type", ["bpe", "unigram"])
def test_sampled_segmentations_spell_the_codes(
    fitted_codes: np.ndarray, counts: np.ndarray, model_type: str
) -> None:
    tokenizer = sid.train_sentencepiece(fitted_codes, counts, SPACE, 150, model_type)
    drawn = tokenizer.sample(fitted_codes, 0.3, seed=1)
    vocabulary = words(tokenizer)
    spelled = ["".join(vocabulary[i] for i in row if i) for row in drawn]
    assert spelled == code_texts(fitted_codes, SPACE).tolist()
    np.testing.assert_array_equal(drawn, tokenizer.sample(fitted_codes, 0.3, seed=1))
    assert (drawn != tokenizer.sample(fitted_codes, 0.3, seed=2)).any()
    assert (drawn > 0).sum() > (tokenizer.encode(fitted_codes) > 0).sum()


def test_merges_all_left_out_are_single_codes(fitted_codes: np.ndarray, counts: np.ndarray) -> None:
    tokenizer = sid.train_sentencepiece(fitted_codes, counts, SPACE, 150)
    drawn = tokenizer.sample(fitted_codes, 1.0, seed=0)
    np.testing.assert_array_equal(drawn, tokenizer.single_codes()[np.arange(3), fitted_codes])


def test_a_report_by_hand() -> None:
    codes = np.array([[row, row, row] for row in range(10)])
    counts = np.array([0, 0, 0, 0, 1, 1, 1, 1, 6, 90])
    tokenizer = sid.train_sentencepiece(codes, counts, SPACE, 52)  # two merges: the most popular item's
    report = sid.vocabulary_report(tokenizer, 60, codes, counts)
    assert report == (60, 52, pytest.approx(2.8), pytest.approx((90 + 30) / 100), 1, 3)
    # The same told by kinds of items.
    kinds = [np.array(part) for part in ([3, 3, 3, 1], [0, 1, 6, 90], [4, 4, 1, 1])]
    assert sid.report_of_pieces(60, 52, *kinds) == report
    with pytest.raises(sid.DataError, match="10 items meet 9 counts"):
        sid.vocabulary_report(tokenizer, 60, codes, counts[1:])
