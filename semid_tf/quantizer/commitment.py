"""How strongly the encoder is drawn to the codewords: by the number of items and by what the start leaves."""

from __future__ import annotations

from semid_tf.config import RQVAEConfig

_FEW_ITEMS, _MOST, _MANY_ITEMS, _LITTLE_LEFT = 6_000, 3.0, 400_000, 0.25


def commitment_for(config: RQVAEConfig, num_items: int, start_error: float) -> float:
    """Weight of the commitment loss: `commitment_weight`; of codebooks that learn end to end perhaps another.

    From 6,000 items on it grows with their number, to three times at 18,000: more items then have codes of
    their own, and new ones are restored as well. From 45,000 items on it falls with the root of their number,
    to twice at 100,000. But every level draws the encoder to its own codeword, the coarse ones away from what
    the sum of all restores: where the start leaves more than .25 of the variance, the weight falls with the
    fourth power of that.

    Args:
        config: settings.
        num_items: that are trained on.
        start_error: root of the normalised MSE.
    """
    if config.codebook_update != "end_to_end":
        return config.commitment_weight
    many = min(max(1.0, num_items / _FEW_ITEMS), max(2.0, (_MANY_ITEMS / num_items) ** 0.5), _MOST)
    left = max(start_error**2, _LITTLE_LEFT)
    return config.commitment_weight * many * (_LITTLE_LEFT / left) ** 4
