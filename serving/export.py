"""A trained ranker as one SavedModel of named signatures (in the manner of TF-Ranking's exports).

    serving_default,   history string [b, h]                -> scores, known
    rank_item_ids      candidates string [b, c]
    rank_items         history, candidates string           -> scores, known
                       candidate_embeddings float32 [b, c, d], NaN = none
    rank_codes         history_codes int32 [b, h, levels]   -> scores, known
                       candidate_codes int32 [b, c, levels]
    rank_embeddings    history string [b, h]                -> scores, codes
                       candidate_embeddings float32 [b, c, d]
    rank_examples      inputs string [b]: a user each, as  -> scores, known
                       tf.Example or ExampleListWithContext
    classify           inputs string [n]: tf.Example an item -> scores, classes
    regress            inputs string [n]: tf.Example an item -> outputs
    encode, decode     embedding float32 [n, d] <-> codes int32 [n, levels]

`scores` float32 [b, c] are probabilities; `known` bool [b, c] tells whether the item is in the table, or its
codes in range; `codes` int32 [b, c, levels]. Padding is "" or codes of -1; a history passes over it and over
unknown items. An unknown candidate is scored by its content where the signature takes it, and else with a
vector of zeros. For tf.Example see `serving/example_signatures.py` and `serving/example_lists.py`.

By ids alone (`FAST`) an export needs no op beyond TensorFlow's own; by codes or content it needs those of the
tokenizer, `SentencepieceOp` and `SentencepieceTokenizeOp` for SentencePiece.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

import semid_tf as sid
from serving.example_signatures import (
    classify_and_regress,
    find_with_content,
    quantizer_signatures,
    rank_examples,
    rank_items,
)
from serving.item_index import ItemIndex
from serving.origins import require_same_pieces, require_servable
from serving.signatures import Function, find_by_codes, find_by_id, rank_codes, rank_embeddings, rank_item_ids
from serving.warmup import WarmupExample, write_warmup

DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
FAST = ("rank_item_ids", "rank_examples")
ALL = (
    *FAST,
    "rank_items",
    "rank_codes",
    "rank_embeddings",
    "classify",
    "regress",
    "encode",
    "decode",
)
# Raised when a signature takes or answers something else under its old name: older exports are not re-used.
FORMS = dict.fromkeys(ALL, 1) | {"rank_examples": 2}
_CONSTANTS = tf.compat.v1.saved_model.signature_constants
_METHODS = {"classify": _CONSTANTS.CLASSIFY_METHOD_NAME, "regress": _CONSTANTS.REGRESS_METHOD_NAME}


def ranker_module(
    ranker: sid.Ranker,
    tokenizer: sid.Tokenizer,
    items: sid.ItemTable,
    quantizer: sid.SavedQuantizer,
    signatures: Sequence[str] = ALL,
) -> tf.Module:
    """The signatures as functions of a plain `tf.Module`, which can be saved without Keras.

    Args:
        ranker: trained; its items are pieces of `tokenizer`.
        tokenizer: the adaptation that the ranker was trained with.
        items: all known items, in the order of the ranker's catalogue.
        quantizer: gives codes to embeddings that come with a request.
        signatures: names of those to make, of `ALL`.

    Returns:
        A module with these functions.

    Raises:
        DataError: the ranker does not embed pieces, takes a context or ranks by a number; an item id is empty
            or holds a line break.
        ProvenanceError: the four parts do not belong together.
    """
    require_servable(ranker)
    require_same_pieces(ranker, tokenizer, items, quantizer)
    index = ItemIndex(items.item_ids)
    made = _functions(ranker, tokenizer, index, quantizer)
    functions = {name: made[name] for name in signatures}
    module = tf.Module(name="ranker")
    for name, function in functions.items():
        setattr(module, name, function)
    # The ranker itself stays out: tracking a Keras model saves Keras' own functions as well.
    needed = [tokenizer, quantizer.module] if set(signatures) - set(FAST) else []
    module.tracked = [index, *needed, *_variables(*functions.values())]
    return module


def _functions(
    ranker: sid.Ranker, tokenizer: sid.Tokenizer, index: ItemIndex, quantizer: sid.SavedQuantizer
) -> dict[str, Function]:
    by_id, by_codes = find_by_id(ranker, index), find_by_codes(ranker, tokenizer)
    find, dim = find_with_content(ranker, index, tokenizer, quantizer), quantizer.embedding_dim
    classify, regress = classify_and_regress(ranker, by_id, find, dim)
    return {
        "rank_item_ids": rank_item_ids(ranker, by_id),
        "rank_examples": rank_examples(ranker, by_id),
        "rank_items": rank_items(ranker, by_id, find, dim),
        "rank_codes": rank_codes(ranker, by_codes, tokenizer.code_space.num_levels),
        "rank_embeddings": rank_embeddings(ranker, by_id, by_codes, quantizer),
        "classify": classify,
        "regress": regress,
        **quantizer_signatures(quantizer),
    }


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
    signatures: Sequence[str] = ALL,
) -> None:
    """Fills a folder with the SavedModel of `ranker_module` and its warm-up requests.

    Raises:
        DataError, ProvenanceError: see `ranker_module`.
    """
    module = ranker_module(ranker, tokenizer, items, quantizer, signatures)
    functions = {name: getattr(module, name) for name in signatures}
    tf.saved_model.save(module, str(folder), signatures={DEFAULT: functions["rank_item_ids"], **functions})
    _name_methods(str(folder), signatures)
    requests = warmup.requests(items)
    named = {name: requests[name] for name in signatures}
    write_warmup({DEFAULT: requests["rank_item_ids"], **named}, Path(folder))


def _name_methods(folder: str, signatures: Sequence[str]) -> None:
    """Tells TensorFlow Serving which signatures its Classify and Regress may call."""
    if not (named := [name for name in signatures if name in _METHODS]):
        return
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(folder)
    for name in named:
        updater.replace_method_name(name, _METHODS[name])
    updater.save()
