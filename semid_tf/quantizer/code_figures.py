"""How the codes are used while a fit runs, and the alarm where a level collapses."""

from __future__ import annotations

import warnings

import numpy as np

from semid_tf.config import CodeSpace, RQVAEConfig
from semid_tf.quantizer.rqvae import Learned

MIN_USAGE = 0.9
MIN_PERPLEXITY_SHARE = 0.2
_CALLER_OF_FIT = 4


class CodebookCollapseWarning(UserWarning):
    """A level of a fitted quantizer uses too few of its codes.

    Fewer than 90 % of the level's codes are in use, or their perplexity is below 20 % of their number.
    """


def usage_of(counts: np.ndarray, code_space: CodeSpace) -> np.ndarray:
    """Share of the codes in use by counts, int [num_levels, codebook_size]: float64 [num_levels]."""
    return (counts > 0).sum(axis=1) / sizes_of(code_space)


def perplexity_of(counts: np.ndarray) -> np.ndarray:
    """exp of the entropy of counts, int [num_levels, codebook_size]: float64 [num_levels], 1 of nothing.

    >>> perplexity_of(np.array([[5, 5, 0], [9, 0, 0]])).tolist()
    [2.0, 1.0]
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    return np.exp(-(shares * logs).sum(axis=1))


def sizes_of(code_space: CodeSpace) -> np.ndarray:
    """Codes of each level: int [num_levels]."""
    return np.broadcast_to(code_space.codebook_size, code_space.num_levels)


class EpochFigures:
    """Loss, use of the codes and revived codes, summed over the steps of an epoch."""

    def __init__(self, code_space: CodeSpace) -> None:
        self.code_space = code_space
        self.clear()

    def clear(self) -> None:
        """Begins an epoch."""
        space = self.code_space
        self.counts = np.zeros((space.num_levels, int(sizes_of(space).max())), np.int64)
        self.revived, self.loss, self.steps = np.zeros(space.num_levels, np.int64), 0.0, 0

    def add(self, learned: Learned) -> None:
        """Takes in a step."""
        self.loss += float(learned.loss)
        self.counts += learned.code_counts.numpy()
        self.revived += learned.revived.numpy()
        self.steps += 1

    def logs(self) -> dict[str, float]:
        """The figures by name, levels counted from 1."""
        by_level = {
            "usage": usage_of(self.counts, self.code_space),
            "perplexity": perplexity_of(self.counts),
            "revived": self.revived,
        }
        levels = {
            f"{name}/level_{level}": float(value)
            for name, values in by_level.items()
            for level, value in enumerate(values, 1)
        }
        return {"loss": self.loss / max(self.steps, 1)} | levels

    def live(self) -> dict[str, str]:
        """What a progress bar shows, level by level."""
        usage, perplexity = usage_of(self.counts, self.code_space), perplexity_of(self.counts)
        return {
            "usage": "/".join(f"{share:.2f}" for share in usage),
            "perplexity": "/".join(f"{value:.0f}" for value in perplexity),
        }

    def state(self) -> dict[str, np.ndarray]:
        """All of it, for a checkpoint."""
        sums = {"loss": np.array(self.loss), "steps": np.array(self.steps)}
        return {"counts": self.counts, "revived": self.revived} | sums

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Goes on where `state` was taken."""
        self.counts, self.revived = state["counts"].copy(), state["revived"].copy()
        self.loss, self.steps = float(state["loss"]), int(state["steps"])


def collapsed_levels(counts: np.ndarray, code_space: CodeSpace) -> list[int]:
    """The levels, from 0, that use too few of their codes; see `CodebookCollapseWarning`."""
    usage, share = usage_of(counts, code_space), perplexity_of(counts) / sizes_of(code_space)
    return np.flatnonzero((usage < MIN_USAGE) | (share < MIN_PERPLEXITY_SHARE)).tolist()


def warn_of_collapse(when: str, counts: np.ndarray, embeddings: np.ndarray, config: RQVAEConfig) -> bool:
    """One warning for each level that uses too few of its codes; whether there was any.

    Args:
        when: of what the counts are.
        counts: int [num_levels, codebook_size].
        embeddings: float32 [n, dim], what was coded, or a sample.
        config: of the fit.
    """
    space, perplexity = config.code_space, perplexity_of(counts)
    levels = collapsed_levels(counts, space)
    cure = _cure(embeddings, config) if levels else ""
    for level in levels:
        used, size = int((counts[level] > 0).sum()), int(sizes_of(space)[level])
        warnings.warn(
            f"level {level + 1} of {space.num_levels} collapsed: {when} {used} of {size} codes were in use, "
            f"perplexity {perplexity[level]:.1f}; {cure}.",
            CodebookCollapseWarning,
            stacklevel=_CALLER_OF_FIT,
        )
    return bool(levels)


def _cure(embeddings: np.ndarray, config: RQVAEConfig) -> str:
    distinct = len({row.tobytes() for row in embeddings})
    if distinct < sizes_of(config.code_space).max():
        return f"there are only {distinct} different embeddings, so lower codebook_size or give more items"
    return (
        f"lower learning_rate (now {config.learning_rate:g}) or revive_after_steps (now "
        f"{config.revive_after_steps}), or ask for fewer levels or codes"
    )
