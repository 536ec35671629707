"""A trained ranker as one SavedModel of named signatures (in the manner of TF-Ranking's exports).

    serving_default,   history string [b, h]                -> scores, known
    rank_item_ids      candidates string [b, c]
    rank_codes         history_codes int32 [b, h, levels]   -> scores, known
                       candidate_codes int32 [b, c, levels]
    rank_embeddings    history string [b, h]                -> scores, codes
                       candidate_embeddings float32 [b, c, d]

`scores` float32 [b, c] are probabilities; `known` bool [b, c] tells whether the item is in the table, or its
codes in range; `codes` int32 [b, c, levels]. Padding is "" or codes of -1; a history passes over it and over
unknown items. An unknown candidate is scored with a vector of zeros.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

import semid_tf as sid
from serving.item_index import ItemIndex
from serving.origins import require_same_pieces
from serving.signatures import Function, find_by_codes, find_by_id, rank_codes, rank_embeddings, rank_item_ids
from serving.warmup import WarmupExample, write_warmup

DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


def ranker_module(
    ranker: sid.Ranker, tokenizer: sid.Tokenizer, items: sid.ItemTable, quantizer: sid.SavedQuantizer
) -> tf.Module:
    """The signatures as functions of a plain `tf.Module`, which can be saved without Keras.

    Args:
        ranker: trained; its items are pieces of `tokenizer`.
        tokenizer: the adaptation that the ranker was trained with.
        items: all known items, in the order of the ranker's catalogue.
        quantizer: gives codes to embeddings that come with a request.

    Returns:
        A module with `rank_item_ids`, `rank_codes` and `rank_embeddings`.

    Raises:
        DataError: the ranker does not embed pieces, or an item id is empty or holds a line break.
        ProvenanceError: the four parts do not belong together.
    """
    require_same_pieces(ranker, tokenizer, items, quantizer)
    index = ItemIndex(items.item_ids)
    by_id, by_codes = find_by_id(ranker, index), find_by_codes(ranker, tokenizer)
    module = tf.Module(name="ranker")
    module.rank_item_ids = rank_item_ids(ranker, by_id)
    module.rank_codes = rank_codes(ranker, by_codes, tokenizer.code_space.num_levels)
    module.rank_embeddings = rank_embeddings(ranker, by_id, by_codes, quantizer)
    variables = _variables(module.rank_item_ids, module.rank_codes, module.rank_embeddings)
    # The ranker itself stays out: tracking a Keras model saves Keras' own functions as well.
    module.tracked = [index, tokenizer, quantizer.module, *variables]
    return module


def _variables(*functions: Function) -> list[tf.Variable]:
    """Every variable that the functions read, once."""
    found = {id(v): v for function in functions for v in function.get_concrete_function().graph.variables}
    return list(found.values())


def export_ranker(
    ranker: sid.Ranker,
    tokenizer: sid.Tokenizer,
    items: sid.ItemTable,
    quantizer: sid.SavedQuantizer,
    folder: str | Path,
    warmup: WarmupExample,
) -> None:
    """Fills a folder with the SavedModel of `ranker_module` and its warm-up requests.

    Raises:
        DataError, ProvenanceError: see `ranker_module`.
    """
    module = ranker_module(ranker, tokenizer, items, quantizer)
    signatures = {
        DEFAULT: module.rank_item_ids,
        "rank_item_ids": module.rank_item_ids,
        "rank_codes": module.rank_codes,
        "rank_embeddings": module.rank_embeddings,
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    requests = warmup.requests(items)
    write_warmup({DEFAULT: requests["rank_item_ids"], **requests}, Path(folder))
