"""A served ranker whose items have own parts: by id as Keras scores, by codes as an item never seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from small_ranker import Parts, call, example, parts

import semid_tf as sid
from serving.export import export_ranker
from serving.warmup import indices_of


@pytest.fixture(scope="module", params=["coarse pieces", "and ids"])
def grown(request: pytest.FixtureRequest, quantizer: sid.SavedQuantizer) -> Parts:
    """Coarse pieces, perhaps rows of ids too, on top of single codes; a third of the items was never seen."""
    base = parts("unigram", quantizer)
    sentencepiece = sid.train_sentencepiece(
        base.items.codes, np.ones(len(base.items)), base.items.code_space, 80
    )
    tokenizer = sid.PiecesAndCodes(sentencepiece)
    coarse = np.split(tokenizer.encode(base.items.codes), 2, axis=1)[1]
    counts = np.arange(len(base.items)) % 3
    rows, num_rows = coarse, tokenizer.num_coarse_rows
    if request.param == "and ids":
        rows = np.column_stack([coarse, num_rows + np.arange(len(coarse)) % 20])
        num_rows += 20
    ranker = sid.with_own_parts(base.ranker, rows, num_rows, counts, half_seen=1.0)
    own = ranker.item_embedding.embedding.own.table
    own.assign(np.random.default_rng(0).normal(size=own.shape))
    return Parts(ranker, tokenizer, base.items, base.quantizer)


@pytest.fixture(scope="module")
def module(grown: Parts, tmp_path_factory: pytest.TempPathFactory) -> object:
    """Its export, loaded."""
    folder: Path = tmp_path_factory.mktemp("own")
    export_ranker(*grown, folder, example(grown.items))
    return tf.saved_model.load(str(folder))


def keras(grown: Parts, history: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Probabilities by the ranker itself."""
    inputs = {"history": history, "candidates": candidates}
    return tf.sigmoid(grown.ranker({name: tf.constant(v) for name, v in inputs.items()})).numpy()


@pytest.mark.parametrize("signature", ["rank_item_ids", "rank_items", "rank_examples", "regress"])
def test_by_id_as_keras_scores(grown: Parts, module: object, signature: str) -> None:
    shown = example(grown.items, users=3)
    indices = [indices_of(ids, grown.items) for ids in (shown.history, shown.candidates)]
    answer = call(module, signature, shown.requests(grown.items)[signature])
    scores = answer["outputs" if signature == "regress" else "scores"]
    expected = keras(grown, *indices)
    assert expected.std() > 0.02
    np.testing.assert_allclose(scores.reshape(expected.shape), expected, atol=1e-6)


def test_by_codes_and_by_content_as_items_never_seen(
    grown: Parts, module: object, quantizer: sid.SavedQuantizer
) -> None:
    shown, base = example(grown.items, users=2), parts("unigram", quantizer).ranker
    history, candidates = (indices_of(ids, grown.items) for ids in (shown.history, shown.candidates))
    expected = tf.sigmoid(base({"history": tf.constant(history), "candidates": tf.constant(candidates)}))
    for name in ("rank_codes", "rank_embeddings"):
        answer = call(module, name, shown.requests(grown.items)[name])
        np.testing.assert_allclose(answer["scores"], expected, atol=1e-6, err_msg=name)


def test_tables_too_small_for_the_tokenizer_are_refused(grown: Parts, tmp_path: Path) -> None:
    more = sid.train_sentencepiece(grown.items.codes, np.ones(len(grown.items)), grown.items.code_space, 95)
    wrong = grown._replace(tokenizer=sid.PiecesAndCodes(more))
    refusal = (
        "table has 80 rows, the tokenizer needs 95|item .* has pieces .* in the ranker, but the tokenizer"
    )
    with pytest.raises(sid.ProvenanceError, match=refusal):
        export_ranker(*wrong, tmp_path, example(grown.items))


@pytest.mark.parametrize(
    ("parts_of_ranker", "message"),
    [
        ({"context": sid.ContextFeatures(["age"], {}, dim=3)}, "takes a context, which no signature does"),
        ({"tasks": [sid.Task("rating", kind="number")]}, "ranks by 'rating', a number, but scores are prob"),
    ],
)
def test_what_signatures_cannot_tell_is_refused(
    quantizer: sid.SavedQuantizer, tmp_path: Path, parts_of_ranker: dict, message: str
) -> None:
    known = parts("unigram", quantizer)
    ranker = sid.Ranker(known.ranker.config, known.ranker.item_embedding, **parts_of_ranker)
    with pytest.raises(sid.DataError, match=message):
        export_ranker(*known._replace(ranker=ranker), tmp_path, example(known.items))
