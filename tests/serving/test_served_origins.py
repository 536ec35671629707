"""Parts that do not belong together are refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from small_ranker import RANKER, SPACE, Parts, parts, ranker_of

import semid_tf as sid
from serving.export import ranker_module


@pytest.fixture(scope="module")
def good(quantizer: sid.SavedQuantizer) -> Parts:
    """Parts that belong together."""
    return parts("unigram", quantizer)


def test_a_tokenizer_of_other_codes_is_refused(good: Parts) -> None:
    other = sid.NgramTokenizer(sid.CodeSpace(3, 9))
    with pytest.raises(
        sid.ProvenanceError, match=r"the tokenizer has 3 levels of 9 codes, but quantizer .* 3 of 8"
    ):
        ranker_module(*good._replace(tokenizer=other))


def test_items_of_other_codes_are_refused(good: Parts) -> None:
    items = sid.ItemTable(good.items.item_ids, good.items.codes, sid.CodeSpace(3, 16))
    with pytest.raises(sid.ProvenanceError, match=r"the item table has 3 levels of 16 codes"):
        ranker_module(*good._replace(items=items))


def test_another_tokenizer_than_the_rankers_is_refused(good: Parts) -> None:
    with pytest.raises(sid.ProvenanceError, match=r"table has 25 rows, the tokenizer needs 585"):
        ranker_module(*good._replace(tokenizer=sid.PrefixTokenizer(SPACE)))
    with pytest.raises(
        sid.ProvenanceError, match=r"'item 0' has pieces .* in the ranker, but the tokenizer gives"
    ):
        ranker_module(*good._replace(tokenizer=sid.PrefixTokenizer(SPACE, num_rows=20)))
    with pytest.raises(sid.ProvenanceError, match=r"knows 500 items of 3 pieces, .* give 500 of 2"):
        ranker_module(*good._replace(tokenizer=sid.NgramTokenizer(SPACE, n=2, num_rows=20)))


def test_one_item_with_other_codes_is_found(good: Parts) -> None:
    codes = good.items.codes.copy()
    codes[321, 1] = (codes[321, 1] + 1) % SPACE.codebook_size
    with pytest.raises(sid.ProvenanceError, match=r"'item 321' has pieces"):
        ranker_module(*good._replace(items=dataclasses.replace(good.items, codes=codes)))


def test_items_in_another_order_are_refused(good: Parts) -> None:
    items = sid.ItemTable(good.items.item_ids, good.items.codes[::-1], SPACE)
    with pytest.raises(
        sid.ProvenanceError, match="give the items and tokenizer that the ranker was trained with"
    ):
        ranker_module(*good._replace(items=items))


def test_a_ranker_of_dense_content_is_refused(good: Parts) -> None:
    catalogue = sid.CatalogueEmbedding.of(
        np.ones((500, 4), np.float32), sid.DenseContentEmbedding(RANKER.dim)
    )
    with pytest.raises(sid.DataError, match="a ranker of DenseContentEmbedding cannot be served by codes"):
        ranker_module(*good._replace(ranker=sid.Ranker(RANKER, catalogue)))


def test_a_ranker_of_hashed_ids_is_refused(good: Parts) -> None:
    ranker = ranker_of(np.arange(500, dtype=np.int32)[:, None] % 100, 100)
    with pytest.raises(sid.ProvenanceError, match="knows 500 items of 1 pieces"):
        ranker_module(*good._replace(ranker=ranker))


@pytest.mark.parametrize("bad", ["", "two\nlines", "carriage\rreturn"])
def test_ids_that_are_no_line_are_refused(good: Parts, bad: str) -> None:
    names = good.items.item_ids.copy()
    names[42] = bad
    with pytest.raises(sid.DataError, match=r"^row 42: item id .* cannot be served"):
        ranker_module(*good._replace(items=sid.ItemTable(names, good.items.codes, SPACE)))
