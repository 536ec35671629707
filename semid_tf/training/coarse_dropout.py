"""Coarse pieces left out at random while a ranker trains, so that single codes learn to stand alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras

from semid_tf.layers import CatalogueEmbedding
from semid_tf.tokenization import PiecesAndCodes

_EVERY_STEPS = 50


class CoarseDropout(tf_keras.callbacks.Callback):
    """Takes the coarse pieces away from a share of the Semantic IDs, others every few steps; none at the end.

    A coarse piece absorbs what its items have in common, and the single codes under it would hardly be
    trained; a cold item that has nothing else would meet vectors that never moved. In the manner of BPE
    dropout (arXiv 1910.13267), with all merges of an item left out together.

    Args:
        embedding: its features are the piece ids of `codes`.
        tokenizer: of those piece ids.
        codes: int32 [n, num_levels], of the items in the order of the catalogue.
        share: of the Semantic IDs that do without coarse pieces, in [0, 1].
        seed: fixes the draws.
    """

    def __init__(
        self,
        embedding: CatalogueEmbedding,
        tokenizer: PiecesAndCodes,
        codes: np.ndarray,
        share: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.embedding, self.share = embedding, share
        self.random = np.random.default_rng(seed)
        self.all_pieces, self.single_codes = tokenizer.encode(codes), tokenizer.encode_codes(codes)
        self.semantic_id = np.unique(codes, axis=0, return_inverse=True)[1].ravel()
        self.steps = 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.steps % _EVERY_STEPS == 0:
            self.embedding.set_features(self._draw())
        self.steps += 1

    def _draw(self) -> np.ndarray:
        without = self.random.random(self.semantic_id.max() + 1) < self.share
        return np.where(without[self.semantic_id, None], self.single_codes, self.all_pieces)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.embedding.set_features(self.all_pieces)
