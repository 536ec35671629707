"""Numbers that a model learned."""

from __future__ import annotations

import tensorflow as tf

import semid_tf as sid

_BYTES = 4  # of a number


def num_parameters(model: sid.SequenceScorer) -> int:
    """All that was learned from data, frozen by now or not; four codes of a byte are one number.

    Content embeddings and what follows from them alone (Semantic IDs of a frozen quantizer) are given.
    """
    weights = {weight.ref(): weight for weight in _learned(model)}.values()  # each once
    return -(-sum(int(tf.size(weight)) * weight.dtype.size for weight in weights) // _BYTES)


def _learned(model: sid.SequenceScorer) -> list[tf.Variable]:
    """Beside trainable weights: of layers that are frozen now, moving averages and codes by k-means."""
    found = list(model.trainable_variables)
    for layer in model.submodules:
        if isinstance(layer, sid.QuantizedToken | sid.RQVAE):
            found += [*layer.encoder.weights, *layer.decoder.weights]
        elif isinstance(layer, sid.ResidualQuantizer):
            found.append(layer.codebooks)
        elif isinstance(layer, sid.ProductToken):
            found.append(layer.codes)
    return found
