"""How the codes are used while a fit runs."""

from __future__ import annotations

import numpy as np

from semid_tf.config import CodeSpace
from semid_tf.quantizer.metrics import perplexity_of_counts, usage_of_counts
from semid_tf.quantizer.rqvae import Learned


class EpochFigures:
    """Loss, use of the codes and revived codes, summed over the steps of an epoch."""

    def __init__(self, code_space: CodeSpace) -> None:
        self.code_space = code_space
        self.clear()

    def clear(self) -> None:
        """Begins an epoch."""
        space = self.code_space
        self.counts = np.zeros((space.num_levels, space.largest), np.int64)
        self.revived, self.loss, self.steps = np.zeros(space.num_levels, np.int64), 0.0, 0

    def add(self, learned: Learned) -> None:
        """Takes in a step."""
        self.loss += float(learned.loss)
        self.counts += learned.code_counts.numpy()
        self.revived += learned.revived.numpy()
        self.steps += 1

    def logs(self) -> dict[str, float]:
        """The figures by name."""
        by_level = {
            "usage": usage_of_counts(self.counts, self.code_space),
            "perplexity": perplexity_of_counts(self.counts),
            "revived": self.revived,
        }
        levels = {
            f"{name}/level_{level}": float(value)
            for name, values in by_level.items()
            for level, value in enumerate(values)
        }
        return {"loss": self.loss / max(self.steps, 1)} | levels

    def live(self) -> dict[str, str]:
        """What a progress bar shows, level by level."""
        usage, perplexity = usage_of_counts(self.counts, self.code_space), perplexity_of_counts(self.counts)
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
