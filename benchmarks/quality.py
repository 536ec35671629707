"""How good the codes of a contender are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import semid_tf as sid
from benchmarks.batches import in_batches
from benchmarks.contenders import Contender
from benchmarks.holdout import Holdout


class Quality(NamedTuple):
    """Error on the items fitted on and on new ones; unique rate and usage over the whole catalogue.

    An error is squared error over variance, each of the same items: see `sid.normalized_mse`.
    """

    normalized_mse: float
    normalized_mse_new: float
    unique_rate: float
    code_usage: list[float]


def judge(
    contender: Contender, embeddings: np.ndarray, holdout: Holdout, code_space: sid.CodeSpace
) -> Quality:
    """Encodes and decodes the whole catalogue, embeddings float32 [n, dim]."""
    codes = in_batches(contender.encode, embeddings)
    restored = in_batches(contender.decode, codes)
    return Quality(
        sid.normalized_mse(embeddings[holdout.train], restored[holdout.train]),
        sid.normalized_mse(embeddings[holdout.new], restored[holdout.new]),
        sid.unique_rate(codes),
        sid.code_usage(codes, code_space),
    )
