"""The three ways into an exported ranker agree with each other, with Keras and with plain NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from small_ranker import EMBEDDING_DIM, SPACE, call, embeddings, example, numpy_scores, parts, ranker_of

import semid_tf as sid
from serving.check import verify_export
from serving.export import FAST, export_ranker, ranker_module
from serving.ops import custom_ops
from serving.warmup import codes_of, indices_of

CLOSE = {"rtol": 0, "atol": 1e-6}


@pytest.mark.parametrize(("users", "history", "candidates"), [(1, 5, 1), (3, 1, 4), (2, 50, 1000)])
def test_one_item_has_one_score_by_id_by_codes_and_by_embedding(
    export: Any, users: int, history: int, candidates: int
) -> None:
    items, shown = export.parts.items, example(export.parts.items, history, candidates, users)
    requests = {n: given for n, given in shown.requests(items).items() if n not in ("encode", "decode")}
    answers = {name: call(export.module, name, inputs) for name, inputs in requests.items()}
    answers["regress"]["scores"] = answers["regress"]["outputs"]
    indices = {
        "history": tf.constant(indices_of(shown.history, items)),
        "candidates": tf.constant(indices_of(shown.candidates, items)),
    }
    keras = tf.sigmoid(export.parts.ranker(indices)).numpy()
    assert candidates == 1 or keras.std() > 0.02
    for name, answer in answers.items():
        assert answer["scores"].dtype == np.float32, name
        np.testing.assert_allclose(answer["scores"].reshape(keras.shape), keras, **CLOSE, err_msg=name)
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
        "rank_items": (by_id[0] | {"candidate_embeddings": ("float32", None, None, EMBEDDING_DIM)}, by_id[1]),
        "rank_examples": ({"inputs": ("string", None)}, by_id[1]),
        "classify": (
            {"inputs": ("string", None)},
            {"scores": ("float32", None, 1), "classes": ("string", None, 1)},
        ),
        "regress": ({"inputs": ("string", None)}, {"outputs": ("float32", None)}),
        "encode": (
            {"embedding": ("float32", None, EMBEDDING_DIM)},
            {"codes": ("int32", None, SPACE.num_levels)},
        ),
        "decode": (
            {"codes": ("int32", None, SPACE.num_levels)},
            {"embedding": ("float32", None, EMBEDDING_DIM)},
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
    """b * (h + c) items are embedded and b * h averaged: h does not multiply with c.

    Where content may come with an id, a candidate is embedded by both.
    """
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
            ways = 2 if name in ("rank_items", "classify", "regress") else 1
            of_users = (users * (history + ways * candidates), users * history)
            assert counts == ((0, 0) if name in ("encode", "decode") else of_users), name


def test_unknown_items_are_scored_by_their_content_and_flagged(export: Any) -> None:
    new, history = embeddings(1, seed=41)[0], ["item 1", "item 2"]
    nothing = np.full(EMBEDDING_DIM, np.nan, np.float32)
    inputs = {
        "history": np.array([history]),
        "candidates": np.array([["item 3", "new", "nobody"]]),
        "candidate_embeddings": np.array([[new, new, nothing]]),
    }
    answer = call(export.module, "rank_items", inputs)
    assert answer["known"].tolist() == [[True, False, False]]
    encode, seen = export.parts.tokenizer.encode, codes_of(np.array(history), export.parts.items)
    listed = codes_of(np.array(["item 3"]), export.parts.items)
    codes = np.concatenate([listed, export.parts.quantizer.encode(new[None])])
    pieces = np.concatenate([encode(codes), np.zeros((1, encode(codes).shape[1]), np.int32)])
    expected = numpy_scores(export.parts, encode(seen), pieces)
    np.testing.assert_allclose(answer["scores"][0], expected, rtol=0, atol=1e-5)
    examples = [serialized(history, "item 3"), serialized(history, "new", new), serialized(history, "nobody")]
    other = serialized(["item 9"], "item 3")
    for given in (examples, [*examples, other]):  # one user, and two
        found = call(export.module, "classify", {"inputs": np.array(given, object)})
        assert found["classes"][:3, 0].tolist() == [b"known", b"content", b"unknown"]
        np.testing.assert_allclose(found["scores"][:3, 0], expected, rtol=0, atol=1e-5)
    alone = call(export.module, "regress", {"inputs": np.array([other], object)})["outputs"]
    np.testing.assert_allclose(found["scores"][3], alone, **CLOSE)
    assert abs(alone[0] - expected[0]) > 1e-4


def serialized(history: list[str], item_id: str, embedding: np.ndarray | None = None) -> bytes:
    """A tf.Example of one candidate."""
    example = tf.train.Example()
    example.features.feature["history"].bytes_list.value.extend(text.encode() for text in history)
    example.features.feature["item_id"].bytes_list.value.append(item_id.encode())
    if embedding is not None:
        example.features.feature["embedding"].float_list.value.extend(embedding)
    return example.SerializeToString()


def test_the_fast_export_needs_no_custom_op_and_the_whole_one_names_its_own(
    exports: dict[str, Any], tmp_path: Path
) -> None:
    assert [custom_ops(exports[name].folder) for name in ("unigram", "prefix")] == [[], []]
    whole = exports["sentencepiece"]
    assert custom_ops(whole.folder) == ["SentencepieceOp", "SentencepieceTokenizeOp"]
    shown = example(whole.parts.items)
    export_ranker(*whole.parts, tmp_path, shown, FAST)
    assert custom_ops(tmp_path) == []
    assert verify_export(tmp_path, *whole.parts, shown, FAST) < 1e-6
