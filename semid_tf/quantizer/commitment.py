"""How strongly the encoder is drawn to the codewords: less where these leave much."""

from __future__ import annotations

from semid_tf.config import RQVAEConfig

_LITTLE_LEFT = 0.18


def commitment_for(config: RQVAEConfig, start_error: float) -> float:
    """Weight of the commitment loss: `commitment_weight`, of codebooks that learn end to end perhaps less.

    Every level draws the encoder to its own codeword, the coarse ones away from what the sum of all
    restores. Where the start leaves more than .18 of the variance, the weight falls with the square of that.

    Args:
        config: settings.
        start_error: root of the normalised MSE.
    """
    if config.codebook_update != "end_to_end" or start_error**2 <= _LITTLE_LEFT:
        return config.commitment_weight
    return config.commitment_weight * (_LITTLE_LEFT / start_error**2) ** 2
