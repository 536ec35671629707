"""Ways into a served ranker by tf.Example, and by ids with the content of items that may be new.

TensorFlow Serving's Classify and Regress give each candidate as an example of its own, with the user's
history in each of them (or once, in the context of an ExampleListWithContext). Equal histories are one user
here, whose side is computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

import semid_tf as sid
from serving.example_lists import HISTORY, ITEM_ID, read_users
from serving.item_index import ItemIndex
from serving.signatures import Find, Found, Function, encoder, find_by_codes, find_by_id, probabilities

EMBEDDING = "embedding"
KNOWN, CONTENT, UNKNOWN = "known", "content", "unknown"
_EXAMPLES = tf.TensorSpec((None,), tf.string, "inputs")
_SEPARATOR = "\n"  # in no item id

FindWithContent = Callable[[tf.Tensor, tf.Tensor], tuple[Found, tf.Tensor]]


def find_with_content(
    ranker: sid.Ranker, index: ItemIndex, tokenizer: sid.Tokenizer, quantizer: sid.SavedQuantizer
) -> FindWithContent:
    """Item ids, string [b, n], and embeddings, float32 [b, n, d], whose NaN stand for none.

    Known items are found by their id, others by their content; who has neither is a vector of zeros. Also
    gives which were found by content: bool [b, n].
    """
    by_id, by_codes = find_by_id(ranker, index), find_by_codes(ranker, tokenizer)
    encode = encoder(quantizer)

    def find(item_ids: tf.Tensor, embeddings: tf.Tensor) -> tuple[Found, tf.Tensor]:
        listed = by_id(item_ids)
        given = tf.reduce_all(tf.math.is_finite(embeddings), axis=-1)
        new = by_codes(encode(tf.where(given[..., None], embeddings, 0.0)))
        by_content = given & ~listed.known
        return Found(tf.where(by_content[..., None], new.vectors, listed.vectors), listed.known), by_content

    return find


def rank_items(ranker: sid.Ranker, by_id: Find, find: FindWithContent, embedding_dim: int) -> Function:
    """`history`, `candidates` string [b, h or c], `candidate_embeddings` [b, c, d] -> `scores`, `known`."""
    ids = (tf.TensorSpec((None, None), tf.string, name) for name in (HISTORY, "candidates"))
    embeddings = tf.TensorSpec((None, None, embedding_dim), tf.float32, "candidate_embeddings")

    @tf.function(input_signature=[*ids, embeddings])
    def rank(
        history: tf.Tensor, candidates: tf.Tensor, candidate_embeddings: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        found, _ = find(candidates, candidate_embeddings)
        return {"scores": probabilities(ranker, by_id(history), found.vectors), "known": found.known}

    return rank


def rank_examples(ranker: sid.Ranker, by_id: Find) -> Function:
    """`inputs` string [b], a message a user (see `read_users`) -> `scores`, `known` [b, most c].

    A user with fewer candidates than another has padding behind them, which is scored as unknown.
    """

    @tf.function(input_signature=[_EXAMPLES])
    def rank(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        users = read_users(inputs)
        found = by_id(users.candidates)
        return {"scores": probabilities(ranker, by_id(users.history), found.vectors), "known": found.known}

    return rank


def classify_and_regress(
    ranker: sid.Ranker, by_id: Find, find: FindWithContent, embedding_dim: int
) -> tuple[Function, Function]:
    """Both: `inputs` string [n], a tf.Example a candidate: `history`, `item_id`, perhaps `embedding`.

    Classify gives `scores` float32 [n, 1] and `classes` string [n, 1], how the item was found: `known`, by
    `content`, or `unknown`. Regress gives `outputs` float32 [n].
    """
    features = {
        HISTORY: tf.io.RaggedFeature(tf.string),
        ITEM_ID: tf.io.FixedLenFeature((), tf.string, ""),
        EMBEDDING: tf.io.FixedLenFeature((embedding_dim,), tf.float32, [float("nan")] * embedding_dim),
    }

    def score(inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_example(inputs, features)
        found, by_content = find(parsed[ITEM_ID][:, None], parsed[EMBEDDING][:, None, :])
        classes = tf.where(found.known, KNOWN, tf.where(by_content, CONTENT, UNKNOWN))
        return _scores(ranker, by_id, parsed[HISTORY].to_tensor(""), found.vectors), classes

    @tf.function(input_signature=[_EXAMPLES])
    def classify(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, classes = score(inputs)
        return {"scores": scores, "classes": classes}

    @tf.function(input_signature=[_EXAMPLES])
    def regress(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": tf.squeeze(score(inputs)[0], axis=-1)}

    return classify, regress


def _scores(ranker: sid.Ranker, by_id: Find, history: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    """Probabilities [n, 1] of candidate vectors [n, 1, dim], each with its history [n, h]."""
    keys = tf.strings.reduce_join(history, axis=1, separator=_SEPARATOR)
    users, place = tf.unique(keys)
    count = tf.size(users)
    first = tf.math.unsorted_segment_min(tf.range(tf.size(keys)), place, count)
    seen = by_id(tf.gather(history, first))
    user = ranker.user(seen.vectors, seen.known)

    def one_user() -> tf.Tensor:
        return tf.transpose(ranker.score(user, tf.transpose(vectors, (1, 0, 2))))

    def many_users() -> tf.Tensor:
        return ranker.score(tf.nest.map_structure(lambda part: tf.gather(part, place), user), vectors)

    return tf.sigmoid(tf.cond(tf.equal(count, 1), one_user, many_users))


def quantizer_signatures(quantizer: sid.SavedQuantizer) -> dict[str, Any]:
    """`encode`: `embedding` float32 [n, d] -> `codes` int32 [n, num_levels]; `decode`: the way back."""
    signatures, levels = quantizer.module.signatures, quantizer.code_space.num_levels

    @tf.function(input_signature=[tf.TensorSpec((None, quantizer.embedding_dim), tf.float32, "embedding")])
    def encode(embedding: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"codes": signatures["encode"](embedding=embedding)["codes"]}

    @tf.function(input_signature=[tf.TensorSpec((None, levels), tf.int32, "codes")])
    def decode(codes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"embedding": signatures["decode"](codes=codes)["embedding"]}

    return {"encode": encode, "decode": decode}
