"""The sequence model as a whole: its loss by another road, and that padding has no part in it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from models.sequence_worlds import CONTENT, LOSSES, MIXERS, NUM_ITEMS, model, packed_batch, summed_tower

import semid_tf as sid


def tensors(batch: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(part) for name, part in batch.items()}


def test_a_score_is_the_inner_product_of_state_and_item() -> None:
    made = model(tower=summed_tower())
    vectors = made.vectors(tf.range(NUM_ITEMS + 1)).numpy()
    dense, ids = made.tower.tokens
    expected = CONTENT @ dense.encoder.kernel.numpy() + ids.table.numpy()[1:]
    np.testing.assert_allclose(vectors[1:], expected, atol=1e-5)
    assert not vectors[0].any()


def test_the_loss_is_that_of_every_place_alone() -> None:
    made, batch = model(tower=summed_tower()), packed_batch()
    vectors = made.vectors(tf.range(NUM_ITEMS + 1)).numpy()
    losses = []
    for row in range(len(batch["items"])):
        for place in np.flatnonzero(batch["targets"][row]):
            own = (batch["segments"][row] == batch["segments"][row, place]) & (np.arange(6) <= place)
            history, places = batch["items"][row, own], batch["places"][row, own]
            state = made.state(
                tf.constant(vectors[history][None]),
                sid.Places(tf.ones((1, len(places)), tf.int32), places[None]),
            )[0, -1].numpy()
            logits = vectors[2:] @ state
            losses.append(np.log(np.exp(logits).sum()) - vectors[batch["targets"][row, place]] @ state)
    assert float(made.compute_loss(tensors(batch))) == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("mixer", MIXERS)
def test_padding_has_no_part_in_loss_gradient_and_codebooks(mixer: str, loss: str) -> None:
    batch = packed_batch()
    wider = {name: np.pad(part, ((0, 2), (0, 0))) for name, part in batch.items()}
    found = []
    for inputs in (batch, wider):
        made = model(mixer, loss)
        for layer in made.submodules:
            if isinstance(layer, sid.CountedDropout):
                layer.rate = 0.0
            if isinstance(layer, sid.IdToken):
                layer.dropout = 0.0
        with tf.GradientTape() as tape:
            value = made.compute_loss(tensors(inputs), training=True) + tf.add_n(made.losses)
        gradients = tape.gradient(value, made.trainable_variables)
        books = made.tower.tokens[0].encoder.quantizer.codebooks
        found.append([value, books, *map(tf.convert_to_tensor, gradients)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_histories_may_be_padded_to_any_length() -> None:
    made = model()
    short = made(tf.constant([[5, 3]])).numpy()
    np.testing.assert_allclose(made(tf.constant([[0, 0, 0, 5, 3]])).numpy(), short, atol=1e-5)
    assert np.isfinite(made(tf.constant([[0, 0]])).numpy()).all()


def test_every_part_learns() -> None:
    made, batch = model(), tensors(packed_batch())
    with tf.GradientTape() as tape:
        value = made.compute_loss(batch, training=True) + tf.add_n(made.losses)
    gradients = tape.gradient(value, made.trainable_variables)
    for variable, gradient in zip(made.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.any(tf.convert_to_tensor(gradient)), variable.name
