"""SentencePiece over codes: nothing is lost, what is frequent becomes one piece."""

from __future__ import annotations

import io

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf

import semid_tf as sid
from semid_tf.tokenization.alphabet import alphabet, code_texts

SPACE = sid.CodeSpace(3, 16)
TYPES = ["bpe", "unigram"]


def words(tokenizer: sid.SentencePieceTokenizer) -> list[str]:
    """What each piece stands for, by SentencePiece itself."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    return [processor.id_to_piece(i) for i in range(processor.vocab_size())]


@pytest.fixture(scope="module")
def counts(fitted_codes: np.ndarray) -> np.ndarray:
    """A third of the items have no interaction; few have many."""
    return np.random.default_rng(0).zipf(1.6, len(fitted_codes)).clip(max=500) - 1


@pytest.fixture(scope="module", params=TYPES)
def trained(
    request: pytest.FixtureRequest, fitted_codes: np.ndarray, counts: np.ndarray
) -> sid.SentencePieceTokenizer:
    """Trained on the catalogue's codes, of either kind."""
    return sid.train_sentencepiece(fitted_codes, counts, SPACE, 160, request.param)


def test_pieces_spell_the_codes(trained: sid.SentencePieceTokenizer, fitted_codes: np.ndarray) -> None:
    vocabulary = words(trained)
    pieces = trained.encode(fitted_codes)
    spelled = ["".join(vocabulary[i] for i in row if i) for row in pieces]
    assert spelled == code_texts(fitted_codes, SPACE).tolist()


def test_no_code_is_ever_unknown(trained: sid.SentencePieceTokenizer) -> None:
    every = np.stack(np.meshgrid(*[np.arange(16)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    assert not (trained.encode(every) == 1).any()
    assert set(alphabet(SPACE)) <= set(words(trained))


def test_the_graph_gives_the_same_pieces(
    trained: sid.SentencePieceTokenizer, fitted_codes: np.ndarray
) -> None:
    pieces = tf.function(trained.encode_in_graph)(tf.constant(fitted_codes))
    np.testing.assert_array_equal(pieces, trained.encode(fitted_codes))


def test_some_pieces_stand_for_several_codes(
    trained: sid.SentencePieceTokenizer, fitted_codes: np.ndarray, counts: np.ndarray
) -> None:
    lengths = {len(word) for word in words(trained)[2:]}
    assert {1, 3} <= lengths
    used = (trained.encode(fitted_codes) > 0).sum(axis=1)
    assert np.average(used, weights=counts) < 2.2
    assert used.max() == 3


@pytest.mark.parametrize("model_type", TYPES)
def test_the_vocabulary_grows_with_the_rows(
    fitted_codes: np.ndarray, counts: np.ndarray, model_type: str
) -> None:
    asked = [50, 80, 120, 200]
    made = [sid.train_sentencepiece(fitted_codes, counts, SPACE, rows, model_type) for rows in asked]
    assert [tokenizer.num_rows for tokenizer in made] == asked
    pieces = [np.average((t.encode(fitted_codes) > 0).sum(axis=1), weights=counts) for t in made]
    assert pieces == sorted(pieces, reverse=True)
    assert pieces[0] == 3
    assert pieces[-1] < 2.1


@pytest.mark.parametrize("model_type", TYPES)
def test_a_frequent_item_becomes_one_piece(model_type: str) -> None:
    codes = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    tokenizer = sid.train_sentencepiece(codes, np.array([1000, 800, 1]), SPACE, 54, model_type)
    assert (tokenizer.encode(codes) > 0).sum(axis=1).tolist() == [1, 1, 3]


@pytest.mark.parametrize("frequent", [0, 1])
def test_weights_decide_what_is_merged_first(frequent: int) -> None:
    space, codes = sid.CodeSpace(2, 4), np.array([[0, 0], [1, 1]])
    counts = np.where(np.arange(2) == frequent, 1000, 2)
    # Padding, unknown, eight codes and one row more.
    tokenizer = sid.train_sentencepiece(codes, counts, space, 11)
    assert (tokenizer.encode(codes) > 0).sum(axis=1).tolist() == [1 + (frequent != 0), 1 + (frequent != 1)]


def test_a_count_is_worth_as_many_copies() -> None:
    codes = np.random.default_rng(0).integers(0, 4, (40, 3))
    counts = np.random.default_rng(1).integers(0, 6, 40)
    by_count = sid.train_sentencepiece(codes, counts, SPACE, 70)
    copies = np.repeat(codes, counts, axis=0)
    by_copies = sid.train_sentencepiece(copies, np.ones(len(copies), int), SPACE, 70)
    assert by_count.model == by_copies.model


@pytest.mark.parametrize("model_type", TYPES)
def test_the_same_items_in_any_order_give_the_same_model(
    fitted_codes: np.ndarray, counts: np.ndarray, model_type: str
) -> None:
    order = np.random.default_rng(0).permutation(len(counts))
    first = sid.train_sentencepiece(fitted_codes, counts, SPACE, 100, model_type)
    second = sid.train_sentencepiece(fitted_codes[order], counts[order], SPACE, 100, model_type)
    assert first.model == second.model


def test_items_without_interactions_teach_nothing(fitted_codes: np.ndarray, counts: np.ndarray) -> None:
    all_items = sid.train_sentencepiece(fitted_codes, counts, SPACE, 100)
    kept = counts > 0
    assert sid.train_sentencepiece(fitted_codes[kept], counts[kept], SPACE, 100).model == all_items.model


@pytest.mark.parametrize("model_type", TYPES)
@pytest.mark.parametrize("total", [10**8, 10**10])
def test_rare_codes_survive_however_many_interactions_there_are(model_type: str, total: int) -> None:
    codes = np.array([[1, 2, 3], [4, 5, 6]])
    tokenizer = sid.train_sentencepiece(codes, np.array([total, 1]), SPACE, 60, model_type)
    assert set(alphabet(SPACE)) <= set(words(tokenizer))
    assert (tokenizer.encode(np.array([[9, 9, 9]])) > 1).all()


def test_every_code_on_its_own_is_the_smallest_table(fitted_codes: np.ndarray, counts: np.ndarray) -> None:
    tokenizer = sid.train_sentencepiece(fitted_codes, counts, SPACE, 50)
    assert sorted(words(tokenizer)[2:]) == sorted(alphabet(SPACE))
    with pytest.raises(
        sid.ConfigError, match=r"table_rows of at least 50: one for each of the 48 codes, .*; got 49"
    ):
        sid.train_sentencepiece(fitted_codes, counts, SPACE, 49)


def test_bad_input_is_refused(fitted_codes: np.ndarray) -> None:
    none = np.zeros(len(fitted_codes), int)
    with pytest.raises(sid.DataError, match="no item was interacted with; SentencePiece needs at least one"):
        sid.train_sentencepiece(fitted_codes, none, SPACE, 100)
    with pytest.raises(sid.CodesError, match="level 0 has codes 0 to 7"):
        sid.train_sentencepiece(np.array([[8, 0, 0]]), np.ones(1, int), sid.CodeSpace(3, 8), 100)
    with pytest.raises(sid.ConfigError, match="characters; SentencePiece over codes has 131068"):
        sid.train_sentencepiece(fitted_codes, none + 1, sid.CodeSpace(3, 50_000), 10**6)


def test_the_largest_code_space_in_use() -> None:
    space = sid.CodeSpace(8, 2048)
    codes = np.random.default_rng(0).integers(0, 2048, (300, 8))
    tokenizer = sid.train_sentencepiece(codes, np.full(300, 50), space, 16_600)
    pieces = tokenizer.encode(codes)
    assert tokenizer.num_rows == 16_600
    assert not (pieces == 1).any()
    np.testing.assert_array_equal(tokenizer.encode_in_graph(tf.constant(codes, tf.int32)), pieces)


@pytest.mark.parametrize(
    "other",
    [sid.CodeSpace(3, 15), sid.CodeSpace(3, 17), sid.CodeSpace(2, 24), sid.CodeSpace(3, (8, 24, 16))],
    ids=str,
)
def test_a_model_over_another_code_space_is_refused(
    trained: sid.SentencePieceTokenizer, other: sid.CodeSpace
) -> None:
    sid.SentencePieceTokenizer(SPACE, trained.model)
    with pytest.raises(sid.ProvenanceError, match=r"other pieces than those of CodeSpace\(num_levels="):
        sid.SentencePieceTokenizer(other, trained.model)


def test_a_model_of_some_other_text_is_refused() -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["some text"] * 9), model_writer=model, vocab_size=10, minloglevel=2
    )
    with pytest.raises(sid.ProvenanceError, match="other pieces than those of"):
        sid.SentencePieceTokenizer(SPACE, model.getvalue())


def test_single_codes_are_the_pieces_of_the_alphabet(trained: sid.SentencePieceTokenizer) -> None:
    vocabulary, characters = words(trained), alphabet(SPACE)
    single = trained.single_codes()
    assert single.shape == (3, 16)
    assert [vocabulary[piece] for piece in single.ravel()] == list(characters)


def test_the_unigram_trainer_has_candidates_enough_for_the_rows_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Its own default of a million ends at half a million rows; here it would end at the single codes.
    monkeypatch.setattr("semid_tf.tokenization.sentencepiece._SEEDS", 1)
    space = sid.CodeSpace(4, 8)
    codes = np.random.default_rng(0).integers(0, 8, (3000, 4)) // [1, 2, 2, 4]
    tokenizer = sid.train_sentencepiece(codes, np.ones(3000, int), space, 120, "unigram")
    assert tokenizer.num_rows >= 110
