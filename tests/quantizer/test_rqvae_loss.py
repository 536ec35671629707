"""Loss, gradients and dead-code revival of the RQ-VAE, computed by hand as well."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from reference import residual_quantization as reference

import semid_tf as sid
from semid_tf.quantizer.initialization import Standardization

DIM, LATENT, ITEMS = 6, 4, 50
CONFIG = sid.RQVAEConfig(
    num_levels=3,
    codebook_size=8,
    latent_dim=LATENT,
    hidden_dim=5,
    commitment_weight=0.4,
    revive_after_steps=3,
)


@pytest.fixture
def model() -> sid.RQVAE:
    """A model of random weights whose MLPs add nothing, so that encoder and decoder are matrices."""
    random = np.random.default_rng(0)
    made = sid.RQVAE(DIM, CONFIG)
    standardization = Standardization(random.normal(size=DIM).astype(np.float32), 2.5)
    axes = np.linalg.qr(random.normal(size=(DIM, LATENT)))[0].astype(np.float32)
    made.start(standardization, axes, random.normal(size=(3, 8, LATENT)).astype(np.float32) * 0.5)
    made.decoder.linear.bias.assign(random.normal(size=DIM))
    made.compile(tf_keras.optimizers.SGD(0.0))
    return made


@pytest.fixture
def embeddings() -> np.ndarray:
    """Fifty embeddings."""
    return np.random.default_rng(1).normal(size=(ITEMS, DIM)).astype(np.float32) * 3


class Numbers:
    """All steps of the model, in NumPy."""

    def __init__(self, model: sid.RQVAE, embeddings: np.ndarray) -> None:
        self.inputs = (embeddings.astype(np.float64) - model.mean.numpy()) / model.scale.numpy()
        self.matrix = model.decoder.linear.kernel.numpy().astype(np.float64)
        latent = self.inputs @ model.encoder.linear.kernel.numpy()
        codebooks = model.quantizer.codebooks.numpy()
        self.residuals, self.codes = reference.residuals_and_codes(latent, codebooks)
        self.restored = (
            reference.decode(self.codes, codebooks) @ self.matrix + model.decoder.linear.bias.numpy()
        )
        self.losses = reference.losses(self.inputs, self.restored, self.residuals, CONFIG.commitment_weight)


def test_loss_of_each_item(model: sid.RQVAE, embeddings: np.ndarray) -> None:
    losses, quantized = model.losses_of(embeddings)
    numbers = Numbers(model, embeddings)
    np.testing.assert_array_equal(quantized.codes, numbers.codes)
    np.testing.assert_allclose(losses, numbers.losses, rtol=1e-5)


@pytest.mark.parametrize("width", [1, 2])
def test_learns_from_the_codes_of_its_training_beam(width: int) -> None:
    made = sid.RQVAE(DIM, dataclasses.replace(CONFIG, training_beam_width=width))
    books = made.quantizer.codebooks
    books.assign(tf.random.stateless_normal(books.shape, (0, 1)))
    rows = tf.random.stateless_normal((200, DIM), (0, 2))
    codes = made.losses_of(rows)[1].codes
    np.testing.assert_array_equal(codes, made.encode(rows, width))
    assert (width == 1) == (codes == made.encode(rows, 1)).numpy().all()


def test_codes_and_reconstruction(model: sid.RQVAE, embeddings: np.ndarray) -> None:
    numbers = Numbers(model, embeddings)
    np.testing.assert_array_equal(model.encode(embeddings), numbers.codes)
    expected = numbers.restored * model.scale.numpy() + model.mean.numpy()
    np.testing.assert_allclose(model(embeddings), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.decode(numbers.codes), expected, rtol=1e-4, atol=1e-5)


def test_training_and_evaluation_loss_are_the_weighted_mean(model: sid.RQVAE, embeddings: np.ndarray) -> None:
    weights = np.random.default_rng(2).uniform(0, 3, ITEMS).astype(np.float32)
    expected = np.average(Numbers(model, embeddings).losses, weights=weights) / DIM
    # Keras drops weights that come without labels; any will do.
    evaluated = model.test_on_batch(embeddings, weights, weights)
    trained = model.train_on_batch(embeddings, weights, weights)
    assert evaluated == pytest.approx(expected, rel=1e-5)
    assert trained == pytest.approx(expected, rel=1e-5)


def test_what_keras_shows_is_the_loss_of_all_batches(model: sid.RQVAE, embeddings: np.ndarray) -> None:
    """Fifty items make batches of 20, 20 and 10; their sums are no weights of the model."""
    weights = np.random.default_rng(2).uniform(0, 3, ITEMS).astype(np.float32)
    expected = np.average(Numbers(model, embeddings).losses, weights=weights) / DIM
    before, of_batches = model.fingerprint, {"batch_size": 20, "verbose": 0, "sample_weight": weights}
    for _ in range(2):  # each evaluation begins anew
        assert model.evaluate(embeddings, weights, **of_batches) == pytest.approx(expected, rel=1e-5)
    assert model.fingerprint == before
    model.config = dataclasses.replace(CONFIG, revive_after_steps=100)
    history = model.fit(embeddings, weights, epochs=2, **of_batches).history
    assert history["loss"] == pytest.approx([expected] * 2, rel=1e-5)


@pytest.mark.parametrize("junk", [5.0, np.inf, np.nan])
def test_items_of_weight_zero_add_nothing(model: sid.RQVAE, embeddings: np.ndarray, junk: float) -> None:
    weights = (np.arange(ITEMS) < 20).astype(np.float32)
    holding = np.where(weights[:, None] > 0, embeddings, np.float32(junk))
    found = model.test_on_batch(holding, weights, weights)
    assert found == pytest.approx(model.test_on_batch(embeddings[:20]), rel=1e-6)


def test_the_gradient_passes_the_quantizer_straight_through(model: sid.RQVAE, embeddings: np.ndarray) -> None:
    """The encoder's bias moves every latent vector alike, so its gradient is the sum of theirs:

    2 (x_hat - x) A^T, as if the quantizer were the identity, and 2 beta (r_l - e_l) from every level.
    """
    numbers = Numbers(model, embeddings)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model.losses_of(embeddings)[0])
    through = 2 * (numbers.restored - numbers.inputs) @ numbers.matrix.T
    committed = 2 * CONFIG.commitment_weight * numbers.residuals[1:].sum(axis=0)
    gradient = tape.gradient(loss, model.encoder.linear.bias)
    np.testing.assert_allclose(gradient, (through + committed).sum(axis=0), rtol=1e-3)


@pytest.mark.parametrize("codebook_update", ["end_to_end", "gradient"])
def test_the_codebooks_learn_from_the_codebook_loss_and_end_to_end_from_the_reconstruction(
    model: sid.RQVAE, embeddings: np.ndarray, codebook_update: str
) -> None:
    """Every codeword of an item moves its reconstruction alike, by 2 (x_hat - x) A^T."""
    model.config = dataclasses.replace(CONFIG, codebook_update=codebook_update)
    numbers = Numbers(model, embeddings)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model.losses_of(embeddings)[0])
    through = 2 * (numbers.restored - numbers.inputs) @ numbers.matrix.T
    expected = np.zeros((3, 8, LATENT))
    for level in range(3):
        of_items = -2 * numbers.residuals[level + 1]
        if codebook_update == "end_to_end":
            of_items = of_items + through
        np.add.at(expected[level], numbers.codes[:, level], of_items)
    gradient = tf.convert_to_tensor(tape.gradient(loss, model.quantizer.codebooks))
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-3)


def test_standardisation_and_counters_are_not_trained(model: sid.RQVAE) -> None:
    trained = {id(variable) for variable in model.trainable_variables}
    assert trained.isdisjoint(map(id, (model.mean, model.scale, model.idle_steps)))
    assert id(model.quantizer.codebooks) in trained


FAR = np.full(LATENT, 1e4, np.float32)


def test_an_idle_code_moves_onto_a_residual_of_its_level(model: sid.RQVAE, embeddings: np.ndarray) -> None:
    tf.random.set_seed(0)
    codebooks = model.quantizer.codebooks.numpy()
    codebooks[0, 3] = codebooks[2, 5] = FAR
    model.quantizer.codebooks.assign(codebooks)
    model.idle_steps.assign(tf.zeros_like(model.idle_steps))
    numbers = Numbers(model, embeddings)
    unused = np.stack([np.bincount(level, minlength=8) == 0 for level in numbers.codes.T])
    assert unused[0, 3]
    assert unused[2, 5]
    for step in (1, 2):
        model.train_on_batch(embeddings)
        np.testing.assert_array_equal(model.idle_steps, unused * step)
        np.testing.assert_array_equal(model.quantizer.codebooks, codebooks)
    model.train_on_batch(embeddings)
    assert not model.idle_steps.numpy().any()
    moved = model.quantizer.codebooks.numpy()
    np.testing.assert_array_equal(moved[~unused], codebooks[~unused])
    for level, code in np.argwhere(unused):
        gap = np.abs(numbers.residuals[level] - moved[level, code]).max(axis=1)
        assert gap.min() < 1e-5, "no residual of that level"
    # Each lies on an item now, so that item chooses it or one that is nearer still.
    assert np.square(Numbers(model, embeddings).residuals[1]).sum() < np.square(numbers.residuals[1]).sum()


def test_an_idle_counter_starts_again_when_its_code_is_used(model: sid.RQVAE, embeddings: np.ndarray) -> None:
    codes = Numbers(model, embeddings).codes[:, 0]
    with_it, without = embeddings[codes == codes[0]], embeddings[codes != codes[0]]
    counted = []
    for batch in (without, without, with_it, without):
        model.train_on_batch(batch)
        counted.append(int(model.idle_steps[0, codes[0]]))
    assert counted == [1, 2, 0, 1]


def test_the_latent_space_is_never_wider_than_the_embedding() -> None:
    assert sid.RQVAE(3, CONFIG).quantizer.codebooks.shape == (3, 8, 3)
