"""Segmentations drawn anew while a ranker trains, so that fine pieces are trained too."""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras

from semid_tf.layers import CatalogueEmbedding
from semid_tf.tokenization import SentencePieceTokenizer

_EVERY_STEPS = 50


class ResampledPieces(tf_keras.callbacks.Callback):
    """Gives the items of a catalogue other segmentations every few steps, and the plain ones at the end.

    Frequent code sequences are one piece each, so their single codes are hardly ever trained; a cold item that
    falls back to those would meet vectors that never moved. Leaving out merges at random (BPE dropout, arXiv
    1910.13267; subword regularization, arXiv 1804.10959) trains fine and coarse pieces alike.

    Args:
        embedding: its features are the piece ids of `codes`.
        tokenizer: draws the segmentations.
        codes: int32 [n, num_levels], of the items in the order of the catalogue.
        alpha: see `SentencePieceTokenizer.sample`.
        seed: fixes the draws.
    """

    def __init__(
        self,
        embedding: CatalogueEmbedding,
        tokenizer: SentencePieceTokenizer,
        codes: np.ndarray,
        alpha: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.embedding, self.tokenizer, self.codes = embedding, tokenizer, codes
        self.alpha, self.seed = alpha, seed

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.steps = 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.steps % _EVERY_STEPS == 0:
            self.embedding.set_features(self.tokenizer.sample(self.codes, self.alpha, self.seed + self.steps))
        self.steps += 1

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.embedding.set_features(self.tokenizer.encode(self.codes))
