"""The semantic token of Lin et al.: its levels, its gradient, its loss, and what weight 0 leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from models.sequence_worlds import CONTENT, quantized

import semid_tf as sid

ONES = np.ones(len(CONTENT), np.float32)
#: Which of three levels choose by cosine.
COSINE_LEVELS: dict[str, set[int]] = {"hybrid": {0, 1}, "cosine": {0, 1, 2}, "euclidean": set()}


def by_hand(latent: np.ndarray, books: np.ndarray, cosine: set[int]) -> tuple[np.ndarray, np.ndarray]:
    """Codes and sums of codewords: by cosine on some levels, by distance on the others."""
    left, total, codes = latent.copy(), np.zeros_like(latent), []
    for level, book in enumerate(books):
        if level in cosine:
            book = book / np.linalg.norm(book, axis=1, keepdims=True)
            chosen = np.argmax(left @ book.T, axis=1)
        else:
            chosen = np.argmin(np.square(left[:, None] - book[None]).sum(axis=-1), axis=1)
        codes.append(chosen)
        left, total = left - book[chosen], total + book[chosen]
    return np.stack(codes, axis=1), total


@pytest.mark.parametrize("assignment", COSINE_LEVELS)
def test_levels_choose_by_cosine_or_by_distance(assignment: str) -> None:
    token, cosine = quantized(assignment=assignment), COSINE_LEVELS[assignment]
    codes, total = by_hand(token.encoder(CONTENT).numpy(), token.quantizer.codebooks.numpy(), cosine)
    np.testing.assert_array_equal(token.codes(tf.constant(CONTENT)), codes)
    np.testing.assert_allclose(token(tf.constant(CONTENT), tf.constant(ONES)), total, atol=1e-5)


def test_the_gradient_passes_as_through_the_identity() -> None:
    token, task = (
        quantized(),
        tf.constant(np.random.default_rng(1).normal(size=(len(CONTENT), 4)), tf.float32),
    )
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(token(tf.constant(CONTENT), tf.constant(ONES)) * task)
    found = tape.gradient(loss, token.encoder.trainable_variables)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(token.encoder(CONTENT) * task)
    for a, b in zip(found, tape.gradient(loss, token.encoder.trainable_variables), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("assignment", COSINE_LEVELS)
@pytest.mark.parametrize("reconstruction", [1.0, 0.0])
def test_its_loss_is_reconstruction_and_commitment_of_what_has_weight(
    assignment: str, reconstruction: float
) -> None:
    token = quantized(assignment=assignment, reconstruction_weight=reconstruction)
    weights = np.where(np.arange(len(CONTENT)) < 5, 0, 2).astype(np.float32)
    cosine = COSINE_LEVELS[assignment]
    latent, books = token.encoder(CONTENT).numpy(), token.quantizer.codebooks.numpy()
    codes, total = by_hand(latent, books, cosine)
    losses = reconstruction * np.square(token.decoder(total).numpy() - CONTENT).sum(axis=1)
    left = latent
    for level, book in enumerate(books):
        unit = level in cosine
        words = (book / np.linalg.norm(book, axis=1, keepdims=True) if unit else book)[codes[:, level]]
        inputs = left / np.linalg.norm(left, axis=1, keepdims=True) if unit else left
        losses += np.square(inputs - words).mean(axis=1)
        left = left - words
    token(tf.constant(CONTENT), tf.constant(weights), training=True)
    assert float(tf.add_n(token.losses)) == pytest.approx(losses[5:].mean(), rel=1e-4)


def test_weight_zero_has_no_part_in_the_start() -> None:
    token, content = quantized(assignment="euclidean"), CONTENT.copy()
    content[15:], content[-1] = CONTENT[15], CONTENT[16]  # what has weight is two points for four codes
    token.start(content, np.where(np.arange(len(CONTENT)) < 15, 0, 1).astype(np.float32))
    books = token.quantizer.codebooks.numpy()
    points = token.encoder(CONTENT[15:17]).numpy()
    gaps = np.linalg.norm(books[0][:, None] - points, axis=2)
    assert gaps.min(axis=0).max() < 1e-5  # both have a code
    assert gaps.min(axis=1).max() < 1e-5  # and no code lies elsewhere
    np.testing.assert_allclose(books[1:], 0, atol=1e-6)


def test_weight_zero_moves_no_codebook() -> None:
    few, all_rows = quantized(), quantized()
    weights = np.where(np.arange(len(CONTENT)) < 8, 1, 0).astype(np.float32)
    few(tf.constant(CONTENT[:8]), tf.constant(ONES[:8]), training=True)
    all_rows(tf.constant(CONTENT), tf.constant(weights), training=True)
    np.testing.assert_allclose(few.quantizer.codebooks, all_rows.quantizer.codebooks, atol=1e-6)
    np.testing.assert_allclose(few.averages.counts, all_rows.averages.counts, atol=1e-6)


def test_codebooks_move_in_training_alone_and_not_in_a_second_stage() -> None:
    token = quantized()
    before = token.quantizer.codebooks.numpy()
    token(tf.constant(CONTENT), tf.constant(ONES))
    np.testing.assert_array_equal(token.quantizer.codebooks, before)
    token.trainable = False
    token(tf.constant(CONTENT), tf.constant(ONES), training=True)
    np.testing.assert_array_equal(token.quantizer.codebooks, before)
    assert not token.losses and not token.trainable_variables
    token.trainable = True
    token(tf.constant(CONTENT), tf.constant(ONES), training=True)
    assert not np.array_equal(token.quantizer.codebooks, before)


def test_no_codebook_is_trained_by_gradient() -> None:
    assert not any("codebooks" in weight.name for weight in quantized().trainable_variables)


def test_an_unknown_item_and_padding_have_no_id() -> None:
    token = sid.IdToken(4, 3, seed=1)
    token.build(None)
    token.set_counts(np.array([1, 0, 1, 1]))
    rows = token(tf.constant([0, 1, 2, 3]), tf.ones(4)).numpy()
    assert not rows[[0, 2]].any() and rows[[1, 3]].all()


def test_id_dropout_takes_whole_rows_of_a_share_of_the_items() -> None:
    token = sid.IdToken(4000, 2, dropout=0.25, seed=1)
    rows = token(tf.range(1, 4001), tf.ones(4000), training=True).numpy()
    gone = ~rows.any(axis=1)
    assert 0.2 < gone.mean() < 0.3
    assert rows[~gone].all()


def test_an_item_without_content_has_finite_vectors_and_gradients() -> None:
    token, content = quantized(), CONTENT.copy()
    content[3] = 0.0
    with tf.GradientTape() as tape:
        vectors = token(tf.constant(content), tf.constant(ONES), training=True)
        loss = tf.reduce_sum(vectors**2) + tf.add_n(token.losses)
    assert np.isfinite(vectors).all()
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(loss, token.trainable_variables))


def test_a_start_on_fewer_items_than_codes_is_refused() -> None:
    token = quantized()
    few = np.where(np.arange(len(CONTENT)) < 3, 1, 0).astype(np.float32)
    with pytest.raises(sid.DataError, match="3 items are too few for codebook_size 4"):
        token.start(CONTENT, few)
