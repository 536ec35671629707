"""The three ways into a served ranker, as tf.functions that know no Keras once they are saved.

Each makes vectors of the history and of the candidates; the history of a row is embedded and averaged once,
however many candidates there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

import semid_tf as sid
from serving.item_index import ItemIndex


class Found(NamedTuple):
    """Items of a request: vectors float32 [b, n, dim], zeros for the unknown; known bool [b, n]."""

    vectors: tf.Tensor
    known: tf.Tensor


Find = Callable[[tf.Tensor], Found]
Function = Any  # the type of a tf.function has no public name


def find_by_id(ranker: sid.Ranker, index: ItemIndex) -> Find:
    """Item ids, string [b, n], through the table of all known items."""
    catalogue = ranker.item_embedding

    def find(item_ids: tf.Tensor) -> Found:
        item_index = index(item_ids)
        return Found(catalogue.embedding(tf.gather(catalogue.features, item_index)), item_index > 0)

    return find


def find_by_codes(ranker: sid.Ranker, tokenizer: sid.Tokenizer) -> Find:
    """Codes, int32 [b, n, num_levels], through the tokenizer; codes out of range are padding."""
    space, embedding = tokenizer.code_space, ranker.item_embedding.embedding

    def find(codes: tf.Tensor) -> Found:
        pieces = tokenizer.encode_in_graph(tf.reshape(codes, (-1, space.num_levels)))
        vectors = _unflatten(embedding.of_pieces(pieces), codes)
        return Found(vectors, tf.reduce_all((codes >= 0) & (codes < space.codebook_sizes), axis=-1))

    return find


def encoder(quantizer: sid.SavedQuantizer) -> Callable[[tf.Tensor], tf.Tensor]:
    """Embeddings, float32 [b, n, embedding_dim], to codes, int32 [b, n, num_levels], by the quantizer."""
    signature = quantizer.module.signatures["encode"]

    def encode(embeddings: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(embeddings, (-1, quantizer.embedding_dim))
        return _unflatten(signature(embedding=flat)["codes"], embeddings)

    return encode


def _unflatten(rows: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Rows, [b * n, k], as [b, n, k], where `like` is [b, n, ...]."""
    return tf.reshape(rows, (tf.shape(like)[0], tf.shape(like)[1], rows.shape[-1]))


def probabilities(ranker: sid.Ranker, history: Found, candidates: tf.Tensor) -> tf.Tensor:
    """Probabilities float32 [b, c] of candidate vectors [b, c, dim] for users of a history."""
    user = ranker.user(history.vectors, history.known)
    return tf.sigmoid(ranker.score(user, candidates))


def _ids(name: str) -> tf.TensorSpec:
    return tf.TensorSpec((None, None), tf.string, name)


def _codes(name: str, num_levels: int) -> tf.TensorSpec:
    return tf.TensorSpec((None, None, num_levels), tf.int32, name)


def rank_item_ids(ranker: sid.Ranker, by_id: Find) -> Function:
    """`history` string [b, h], `candidates` string [b, c] -> `scores` float32 [b, c], `known` bool [b, c]."""

    @tf.function(input_signature=[_ids("history"), _ids("candidates")])
    def rank(history: tf.Tensor, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
        found = by_id(candidates)
        scores = probabilities(ranker, by_id(history), found.vectors)
        return {"scores": scores, "known": found.known}

    return rank


def rank_codes(ranker: sid.Ranker, by_codes: Find, num_levels: int) -> Function:
    """`history_codes`, `candidate_codes` int32 [b, h or c, num_levels] -> `scores`, `known` [b, c]."""

    @tf.function(input_signature=[_codes("history_codes", num_levels), _codes("candidate_codes", num_levels)])
    def rank(history_codes: tf.Tensor, candidate_codes: tf.Tensor) -> dict[str, tf.Tensor]:
        found = by_codes(candidate_codes)
        scores = probabilities(ranker, by_codes(history_codes), found.vectors)
        return {"scores": scores, "known": found.known}

    return rank


def rank_embeddings(
    ranker: sid.Ranker, by_id: Find, by_codes: Find, quantizer: sid.SavedQuantizer
) -> Function:
    """`history` string [b, h], `candidate_embeddings` float32 [b, c, d] -> `scores`, `codes` [b, c, L]."""
    encode = encoder(quantizer)
    embeddings = tf.TensorSpec((None, None, quantizer.embedding_dim), tf.float32, "candidate_embeddings")

    @tf.function(input_signature=[_ids("history"), embeddings])
    def rank(history: tf.Tensor, candidate_embeddings: tf.Tensor) -> dict[str, tf.Tensor]:
        codes = encode(candidate_embeddings)
        scores = probabilities(ranker, by_id(history), by_codes(codes).vectors)
        return {"scores": scores, "codes": codes}

    return rank
