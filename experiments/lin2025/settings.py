"""The runs: the paper's model, its ablations, and what goes beyond it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import semid_tf as sid

#: Rows of a codebook of product codes: what a byte tells apart.
CODE_ROWS = 256


@dataclass(frozen=True)
class Setting:
    """One model and how it is trained.

    Attributes:
        semantic: the content's token: `quantized` (the paper's), `pieces` (codes of a frozen RQ-VAE, whose
            vectors are learned), `dense` (a linear map), or empty.
        id_dim: width of the ID token; 0 = none.
        id_dropout: share of items without it in a step, so that content can stand alone.
        neighbours: so many lend their IDs to an item that training never saw.
        dim: width of the semantic token.
        merge: `concatenated` or `summed`.
        num_levels, codebook_size, assignment, reconstruction_weight: of the quantized token.
        two_stages: the quantized token is trained on the content alone first, and then frozen.
        backbone: `sasrec`, `frequency`, `hstu`.
        norm_first: pre-LN.
        dropout: of the backbone.
        loss: `binary`, `sampled`, `full`.
        training: see `SequenceTraining`.
        members: models of other seeds whose scores are added up.
        code_bytes: item vectors are kept as so many product codes when training is done; 0 = as they are.
    """

    semantic: str = "quantized"
    id_dim: int = 8
    id_dropout: float = 0.0
    neighbours: int = 0
    dim: int = 64
    merge: str = "concatenated"
    num_levels: int = 3
    codebook_size: int = 256
    assignment: str = "hybrid"
    reconstruction_weight: float = 1.0
    two_stages: bool = False
    backbone: str = "sasrec"
    norm_first: bool = False
    dropout: float = 0.5
    loss: str = "binary"
    training: sid.SequenceTraining = field(default_factory=sid.SequenceTraining)
    members: int = 1
    code_bytes: int = 0

    @property
    def items_needed(self) -> int:
        """Items that training must meet: codebooks start on as many as they have codes."""
        return self.codebook_size if self.semantic in ("quantized", "pieces") else 1

    def token_size(self, num_items: int, embedding_dim: int) -> int:
        """Numbers in the tokens' tables, as the paper counts them; four codes of a byte are one number."""
        semantic = {
            "": 0,
            "quantized": self.num_levels * self.codebook_size * self.dim,
            "pieces": self.num_levels * self.codebook_size * self.dim,
            "dense": embedding_dim * self.dim,
        }
        ids = num_items * self.id_dim
        if self.code_bytes:
            ids = num_items * self.code_bytes // 4 + CODE_ROWS * self.dim
        return self.members * (ids + semantic[self.semantic])


# Three times the paper's rate, falling, takes half the epochs. They are chosen as the paper judges.
_PAPER = Setting(
    training=sid.SequenceTraining(epochs=40, patience=20, learning_rate=3e-3, decay=True, judged_among=99)
)
_ID_ONLY = replace(_PAPER, semantic="", id_dim=64)
_SOFTMAX = sid.SequenceTraining(epochs=16, learning_rate=3e-3, decay=True)
_UNIFIED_SOFTMAX = replace(_PAPER, loss="full", training=_SOFTMAX)
_FREE = replace(
    _UNIFIED_SOFTMAX,
    semantic="dense",
    dim=128,
    id_dim=128,
    id_dropout=0.2,
    neighbours=5,
    merge="summed",
    backbone="hstu",
    members=3,
    training=replace(_SOFTMAX, epochs=11),
)

HEADLINE = {
    "id_only": _ID_ONLY,
    "semantic_only": replace(_PAPER, id_dim=0),
    "unified": _PAPER,
    "id_only_softmax": replace(_ID_ONLY, loss="full", training=_SOFTMAX),
    "compact_softmax": replace(_UNIFIED_SOFTMAX, semantic="dense", id_dim=64, merge="summed", code_bytes=32),
    "free_budget": _FREE,
}

#: Trained a second time without a tenth of the items; with `--quick` only the latter.
COLD = {"unified", "id_only_softmax", "compact_softmax", "free_budget"}
QUICK_COLD = {"free_budget"}

#: Trained a second time on the validation events too, once they have said how many epochs are best.
REFIT = {"free_budget"}

ABLATIONS = {
    "unified_softmax": _UNIFIED_SOFTMAX,
    "pieces_softmax": replace(_UNIFIED_SOFTMAX, semantic="pieces"),
    "id_only_8": replace(_ID_ONLY, id_dim=8),
    "id_dim_4": replace(_PAPER, id_dim=4),
    "id_dim_16": replace(_PAPER, id_dim=16),
    "cosine": replace(_PAPER, assignment="cosine"),
    "euclidean": replace(_PAPER, assignment="euclidean"),
    "4x1024": replace(_PAPER, num_levels=4, codebook_size=1024),
    "2x2048": replace(_PAPER, num_levels=2, codebook_size=2048),
    "no_reconstruction": replace(_PAPER, reconstruction_weight=0.0),
    "two_stages": replace(_PAPER, two_stages=True),
    "sampled_softmax": replace(_UNIFIED_SOFTMAX, loss="sampled"),
    "pre_ln": replace(_UNIFIED_SOFTMAX, norm_first=True),
    "frequency": replace(_UNIFIED_SOFTMAX, backbone="frequency"),
    "hstu": replace(_UNIFIED_SOFTMAX, backbone="hstu"),
}

ALL = HEADLINE | ABLATIONS
