"""The three ways into an exported ranker agree with each other, with Keras and with plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from small_ranker import EMBEDDING_DIM, SPACE, call, embeddings, example, numpy_scores, parts, ranker_of

import semid_tf as sid
from serving.export import ranker_module
from serving.warmup import codes_of, indices_of

CLOSE = {"rtol": 0, "atol": 1e-6}


@pytest.mark.parametrize(("users", "history", "candidates"), [(1, 5, 1), (3, 1, 4), (2, 50, 1000)])
def test_one_item_has_one_score_by_id_by_codes_and_by_embedding(
    export: Any, users: int, history: int, candidates: int
) -> None:
    items, shown = export.parts.items, example(export.parts.items, history, candidates, users)
    answers = {name: call(export.module, name, inputs) for name, inputs in shown.requests(items).items()}
    indices = {
        "history": tf.constant(indices_of(shown.history, items)),
        "candidates": tf.constant(indices_of(shown.candidates, items)),
    }
    keras = tf.sigmoid(export.parts.ranker(indices)).numpy()
    assert candidates == 1 or keras.std() > 0.02
    for name, answer in answers.items():
        assert answer["scores"].dtype == np.float32, name
        np.testing.assert_allclose(answer["scores"], keras, **CLOSE, err_msg=name)
    assert answers["rank_item_ids"]["known"].all()
    assert answers["rank_codes"]["known"].all()


def test_scores_are_those_of_plain_numpy(export: Any) -> None:
    shown = example(export.parts.items, users=1)
    scores = call(export.module, "rank_item_ids", shown.requests(export.parts.items)["rank_item_ids"])[
        "scores"
    ]
    encode, codes = export.parts.tokenizer.encode, codes_of(shown.history[0], export.parts.items)
    candidate_codes = codes_of(shown.candidates[0], export.parts.items)
    expected = numpy_scores(export.parts, encode(codes), encode(candidate_codes))
    np.testing.assert_allclose(scores[0], expected, rtol=0, atol=1e-5)


def test_new_items_get_the_codes_of_the_quantizer_bit_for_bit(export: Any) -> None:
    new = embeddings(600, seed=99)
    inputs = {"history": np.array([["item 1"], ["item 2"]]), "candidate_embeddings": new.reshape(2, 300, -1)}
    answer = call(export.module, "rank_embeddings", inputs)
    codes = export.parts.quantizer.encode(new)
    assert answer["codes"].dtype == np.int32
    np.testing.assert_array_equal(answer["codes"].reshape(600, -1), codes)
    encode, user = export.parts.tokenizer.encode, codes_of(np.array(["item 2"]), export.parts.items)
    expected = numpy_scores(export.parts, encode(user), encode(codes[300:]))
    np.testing.assert_allclose(answer["scores"][1], expected, rtol=0, atol=1e-5)


def test_padding_and_unknown_items_count_for_nothing_in_a_history(export: Any) -> None:
    candidates = np.array([["item 3", "item 4"]])
    plain = np.array([["item 1", "item 2"]])
    padded = np.array([["", "item 1", "never heard of", "item 2", ""]])
    by_id = [
        call(export.module, "rank_item_ids", {"history": h, "candidates": candidates})
        for h in (plain, padded)
    ]
    np.testing.assert_allclose(by_id[0]["scores"], by_id[1]["scores"], **CLOSE)
    codes = {"history_codes": codes_of(padded, export.parts.items)}
    assert (codes["history_codes"] == -1).all(axis=-1).tolist() == [[True, False, True, False, True]]
    codes["candidate_codes"] = codes_of(candidates, export.parts.items)
    np.testing.assert_allclose(
        call(export.module, "rank_codes", codes)["scores"], by_id[0]["scores"], **CLOSE
    )


def test_an_empty_history_is_a_user_of_zeros(export: Any) -> None:
    candidates = np.array([["item 3", "item 4"]])
    encode, codes = export.parts.tokenizer.encode, codes_of(candidates[0], export.parts.items)
    expected = numpy_scores(export.parts, encode(codes)[:0], encode(codes))
    for history in (np.array([[""]]), np.array([["", ""]]), np.zeros((1, 0), str)):
        scores = call(export.module, "rank_item_ids", {"history": history, "candidates": candidates})[
            "scores"
        ]
        np.testing.assert_allclose(scores[0], expected, rtol=0, atol=1e-5)


def test_an_unknown_candidate_is_flagged_and_scored_with_zeros(export: Any) -> None:
    history = np.array([["item 1", "item 2"]])
    candidates = np.array([["item 3", "never heard of", "", "Käse, süß\t🧀", "item 3 "]])
    by_id = call(export.module, "rank_item_ids", {"history": history, "candidates": candidates})
    assert by_id["known"].tolist() == [[True, False, False, True, False]]
    encode, user = export.parts.tokenizer.encode, codes_of(history[0], export.parts.items)
    zeros = numpy_scores(export.parts, encode(user), np.zeros((1, 1), np.int32))
    np.testing.assert_allclose(by_id["scores"][0, [1, 2, 4]], zeros.repeat(3), rtol=0, atol=1e-5)
    top = SPACE.codebook_size - 1
    codes = np.array([[[top, top, top], [0, 0, top + 1], [0, -1, 0], [0, 0, 0]]], np.int32)
    inputs = {"history_codes": codes_of(history, export.parts.items), "candidate_codes": codes}
    by_codes = call(export.module, "rank_codes", inputs)
    assert by_codes["known"].tolist() == [[True, False, False, True]]
    np.testing.assert_allclose(by_codes["scores"][0, 1:3], zeros.repeat(2), rtol=0, atol=1e-5)


def test_no_candidates_is_no_error(export: Any) -> None:
    inputs = {"history": np.array([["item 1"]]), "candidates": np.zeros((1, 0), str)}
    assert call(export.module, "serving_default", inputs)["scores"].shape == (1, 0)


def test_tensors_are_named_and_typed(export: Any) -> None:
    def described(specs: dict[str, tf.TensorSpec]) -> dict[str, tuple]:
        return {name: (spec.dtype.name, *spec.shape.as_list()) for name, spec in specs.items()}

    ids, codes = ("string", None, None), ("int32", None, None, SPACE.num_levels)
    scores, known = ("float32", None, None), ("bool", None, None)
    by_id = ({"history": ids, "candidates": ids}, {"scores": scores, "known": known})
    expected = {
        "serving_default": by_id,
        "rank_item_ids": by_id,
        "rank_codes": (
            {"history_codes": codes, "candidate_codes": codes},
            {"scores": scores, "known": known},
        ),
        "rank_embeddings": (
            {"history": ids, "candidate_embeddings": ("float32", None, None, EMBEDDING_DIM)},
            {"scores": scores, "codes": codes},
        ),
    }
    found = {
        name: (described(run.structured_input_signature[1]), described(run.structured_outputs))
        for name, run in export.module.signatures.items()
    }
    assert found == expected


def test_the_item_table_is_the_only_asset(export: Any) -> None:
    (asset,) = (export.folder / "assets").iterdir()
    assert asset.read_text(encoding="utf-8").splitlines() == export.parts.items.item_ids.tolist()


def test_history_is_embedded_once_however_many_candidates(quantizer: sid.SavedQuantizer) -> None:
    """b * (h + c) items are embedded and b * h averaged: h does not multiply with c."""
    embedded, averaged = tf.Variable(0), tf.Variable(0)

    class CountingEmbedding(sid.PieceEmbedding):
        def call(self, piece_ids: tf.Tensor) -> tf.Tensor:
            embedded.assign_add(tf.size(piece_ids) // piece_ids.shape[-1])
            return super().call(piece_ids)

    class CountingRanker(sid.Ranker):
        def user(self, history_vectors: tf.Tensor, known: tf.Tensor) -> Any:
            averaged.assign_add(tf.size(known))
            return super().user(history_vectors, known)

    of = parts("unigram", quantizer)
    catalogue = ranker_of(of.tokenizer.encode(of.items.codes), of.tokenizer.num_rows, CountingEmbedding)
    ranker = CountingRanker(catalogue.config, catalogue.item_embedding)
    module = ranker_module(ranker, of.tokenizer, of.items, quantizer)
    for users, history, candidates in ((1, 50, 1), (1, 50, 1000), (3, 20, 100)):
        for name, inputs in example(of.items, history, candidates, users).requests(of.items).items():
            embedded.assign(0), averaged.assign(0)
            getattr(module, name)(**{key: tf.constant(values) for key, values in inputs.items()})
            counts = (int(embedded), int(averaged))
            assert counts == (users * (history + candidates), users * history), name
