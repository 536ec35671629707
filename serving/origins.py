"""Refuses to export parts that do not belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import semid_tf as sid


def require_chain(artifacts: Sequence[sid.Artifact]) -> None:
    """Checks that artifacts name each other as the parents that they were made from.

    Raises:
        ProvenanceError: one was made from another parent; names both fingerprints.
    """
    for child in artifacts:
        for parent in artifacts:
            if parent.manifest.kind in child.manifest.parents:
                child.require_parent(parent)


def require_servable(ranker: sid.Ranker) -> None:
    """Checks that the signatures, which take items alone and answer probabilities, can tell all of a ranker.

    Raises:
        DataError: it takes a context, or ranks by a number.
    """
    if ranker.context:
        raise sid.DataError(
            "the ranker takes a context, which no signature does; export one without context."
        )
    if ranker.tasks[0].kind != "binary":
        raise sid.DataError(
            f"the ranker ranks by {ranker.tasks[0].name!r}, a number, but scores are probabilities; "
            "make a binary task the first."
        )


def require_same_pieces(
    ranker: sid.Ranker, tokenizer: sid.Tokenizer, items: sid.ItemTable, quantizer: sid.SavedQuantizer
) -> None:
    """Checks that an item has the same pieces by its id, by its codes and by its embedding.

    Raises:
        DataError: the ranker does not embed pieces.
        ProvenanceError: code spaces differ, or the ranker was trained on other items or another tokenizer.
    """
    _require_one_code_space(tokenizer, items, quantizer)
    _require_piece_table(ranker.item_embedding, tokenizer)
    _require_features(ranker.item_embedding, tokenizer, items)


def _require_one_code_space(
    tokenizer: sid.Tokenizer, items: sid.ItemTable, quantizer: sid.SavedQuantizer
) -> None:
    wanted = quantizer.code_space
    for name, space in (("the tokenizer", tokenizer.code_space), ("the item table", items.code_space)):
        if space != wanted:
            raise sid.ProvenanceError(
                f"{name} has {space.num_levels} levels of {space.codebook_size} codes, but quantizer "
                f"{quantizer.fingerprint} has {wanted.num_levels} of {wanted.codebook_size}; both must agree."
            )


def _require_piece_table(catalogue: sid.CatalogueEmbedding, tokenizer: sid.Tokenizer) -> None:
    layer = catalogue.embedding
    tables = [layer.semantic, layer.own] if isinstance(layer, sid.UnifiedEmbedding) else [layer]
    for table in tables:
        if not isinstance(table, sid.PieceEmbedding):
            raise sid.DataError(
                f"a ranker of {type(table).__name__} cannot be served by codes; it needs a PieceEmbedding."
            )
    if (rows := sum(table.num_rows for table in tables)) < tokenizer.num_rows:
        raise sid.ProvenanceError(
            f"the ranker's table has {rows} rows, the tokenizer needs {tokenizer.num_rows}; "
            "give the tokenizer that the ranker was trained with."
        )


def _require_features(
    catalogue: sid.CatalogueEmbedding, tokenizer: sid.Tokenizer, items: sid.ItemTable
) -> None:
    wanted = tokenizer.encode(items.codes)
    known = catalogue.features.numpy()[1:]
    if isinstance(catalogue.embedding, sid.UnifiedEmbedding):  # own rows and counts stand behind the pieces
        known = known[:, : wanted.shape[1]]
    if known.shape != wanted.shape:
        raise sid.ProvenanceError(
            f"the ranker knows {known.shape[0]} items of {known.shape[1]} pieces, the items and tokenizer "
            f"give {wanted.shape[0]} of {wanted.shape[1]}; give those that the ranker was trained with."
        )
    if different := np.flatnonzero((known != wanted).any(axis=1)).tolist():
        row = different[0]
        raise sid.ProvenanceError(
            f"item {items.item_ids[row]!r} has pieces {known[row].tolist()} in the ranker, but the tokenizer "
            f"gives {wanted[row].tolist()}; give the items and tokenizer that the ranker was trained with."
        )
