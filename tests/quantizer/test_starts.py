"""The start on beam paths, idle codes put to use, noise and dropout by the number of items."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid
from semid_tf.data.embedding_source import WeightedRows
from semid_tf.quantizer.commitment import commitment_for
from semid_tf.quantizer.fit import _hidden_widths, _training_beam_width, start_rqvae
from semid_tf.quantizer.idle_codes import use_idle_codes
from semid_tf.quantizer.initialization import axes_for
from semid_tf.quantizer.keep_best import KeepBest
from semid_tf.quantizer.paths import _best_paths, fit_on_paths
from semid_tf.quantizer.refinement import refine
from semid_tf.quantizer.regularization import Disturbance, dropout_for, noise_for
from semid_tf.quantizer.start import _codebooks, _error, _fit, _left, _refined, _split, _widths

CONFIG = sid.RQVAEConfig(num_levels=2, codebook_size=8, latent_dim=4, hidden_dim=8, start_beams=(1,))


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    """Four hundred items in clusters."""
    return sid.synthetic_items(400, dim=8, seed=1).embeddings


def test_the_best_paths_are_those_of_all_extensions() -> None:
    random = np.random.default_rng(0)
    left = random.normal(size=(20, 3, 4)).astype(np.float32)
    book = random.normal(size=(6, 4)).astype(np.float32)
    found = _best_paths(left, book, 5)
    for item, kept in zip(left, found, strict=True):
        extensions = sorted(
            (path - word for path, word in itertools.product(item, book)), key=lambda v: np.square(v).sum()
        )
        np.testing.assert_allclose(kept, extensions[:5], atol=1e-5)


def test_paths_of_width_one_are_residual_means(embeddings: np.ndarray) -> None:
    """Each level is then fitted on what greedy codes leave: codewords are the means of their residuals."""
    points = embeddings[:, :4].copy()
    books = fit_on_paths(points, np.ones(400, np.float32), sid.CodeSpace(3, 8), 1, 20, seed=0)
    left, errors = points, [np.square(points).sum()]
    for book in books:
        gaps = np.square(left[:, None] - book).sum(axis=2)
        left = left - book[gaps.argmin(axis=1)]
        errors.append(np.square(left).sum())
        members = gaps.argmin(axis=1)
        for code in np.unique(members):
            np.testing.assert_allclose(left[members == code].mean(axis=0), 0, atol=5e-2)
    assert errors[1] < 0.5 * errors[0]
    assert errors[3] < errors[2] < errors[1]


def test_held_out_items_choose_the_start(embeddings: np.ndarray) -> None:
    """Of several widths the start is that of one of them, fitted on all items but the held-out ones."""
    both = dataclasses.replace(CONFIG, start_beams=(1, 5))
    errors = {}
    for widths in ((1,), (5,), (1, 5)):
        model = start_rqvae(embeddings, None, dataclasses.replace(both, start_beams=widths))
        errors[widths] = sid.normalized_mse(embeddings, model(embeddings).numpy())
    assert errors[1, 5] == pytest.approx(min(errors[1,], errors[5,]), rel=0.1)


@pytest.mark.parametrize("beam_width", [1, 8])
def test_starts_are_judged_as_the_model_searches(embeddings: np.ndarray, beam_width: int) -> None:
    config = dataclasses.replace(CONFIG, num_levels=3, start_beams=(1, 2, 5))
    rows = WeightedRows(embeddings, np.ones(len(embeddings), np.float32))
    fitted, held_out = _split(rows, config)
    fits = [_fit(fitted, width, config) for width in config.start_beams]
    left = [_left(held_out, codebooks, config, beam_width) for codebooks in fits]
    assert left != [_left(held_out, codebooks, config, 9 - beam_width) for codebooks in fits]
    np.testing.assert_array_equal(_codebooks(rows, config, beam_width), fits[int(np.argmin(left))])


def test_a_beam_refines_its_start(embeddings: np.ndarray) -> None:
    config = dataclasses.replace(CONFIG, num_levels=3, beam_width=4)
    rows = WeightedRows(embeddings, np.ones(len(embeddings), np.float32))
    codebooks = _fit(rows, 2, config)
    refined = _refined(rows, codebooks, config.code_space, beam_width=2)
    assert _left(rows, refined, config, 4) < 0.99 * _left(rows, codebooks, config, 4)


def test_refined_by_a_beam_no_round_is_worse_by_that_beam(embeddings: np.ndarray) -> None:
    weights = np.ones(len(embeddings), np.float32)
    books = list(fit_on_paths(embeddings, weights, sid.CodeSpace(3, 8), 1, 10, seed=0))
    rows, config = WeightedRows(embeddings, weights), dataclasses.replace(CONFIG, num_levels=3)
    left = [
        _left(rows, np.stack(refine(embeddings, weights, books, turns, beam_width=3)), config, 3)
        for turns in range(5)
    ]
    assert left == sorted(left, reverse=True)
    assert left[-1] < left[0]


def test_idle_codes_get_items_of_their_own(embeddings: np.ndarray) -> None:
    model = start_rqvae(embeddings, None, CONFIG)
    far = tf.fill([4], 1e4)
    places = [[0, 1], [0, 6], [1, 2]]
    model.quantizer.codebooks.assign(
        tf.tensor_scatter_nd_update(model.quantizer.codebooks, places, [far] * 3)
    )
    before = sid.normalized_mse(embeddings, model(embeddings).numpy())
    assert use_idle_codes(model, WeightedRows(embeddings, np.ones(400, np.float32))) >= 3
    codes = model.encode(embeddings).numpy()
    assert list(sid.code_usage(codes, model.code_space)) == [1.0, 1.0]
    assert sid.normalized_mse(embeddings, model(embeddings).numpy()) < before
    assert use_idle_codes(model, WeightedRows(embeddings, np.ones(400, np.float32))) == 0


def test_idle_codes_of_a_beam_are_those_that_the_beam_does_not_find(embeddings: np.ndarray) -> None:
    model = start_rqvae(embeddings, None, dataclasses.replace(CONFIG, num_levels=3, beam_width=4))
    places, far = [[0, 1], [0, 6], [2, 2]], tf.fill([3, 4], 1e4)
    model.quantizer.codebooks.assign(tf.tensor_scatter_nd_update(model.quantizer.codebooks, places, far))
    before = sid.normalized_mse(embeddings, model(embeddings).numpy())
    items = WeightedRows(embeddings, np.ones(400, np.float32))
    assert use_idle_codes(model, items) >= 3
    codes = model.encode(embeddings).numpy()
    assert list(sid.code_usage(codes, model.code_space)) == [1.0, 1.0, 1.0]
    assert sid.normalized_mse(embeddings, model(embeddings).numpy()) < before
    assert use_idle_codes(model, items) == 0


def test_items_of_more_weight_get_the_idle_codes(embeddings: np.ndarray) -> None:
    """One item outweighs all others: its code is the one that is halved, a third of the way towards it."""
    model = start_rqvae(embeddings, None, CONFIG)
    model.quantizer.codebooks.assign(
        tf.tensor_scatter_nd_update(model.quantizer.codebooks, [[0, 3]], [tf.fill([4], 1e4)])
    )
    weights = np.ones(400, np.float32)
    weights[17] = 1e6
    heavy = embeddings[17:18]
    word = model.quantizer.codebook(0)[int(model.encode(heavy, 1)[0, 0])].numpy()
    use_idle_codes(model, WeightedRows(embeddings, weights))
    towards_it = word + 0.3 * (model.latent(heavy).numpy()[0] - word)
    np.testing.assert_allclose(model.quantizer.codebook(0)[3], towards_it, atol=1e-4)


def test_halves_of_equal_items_are_not_sought(embeddings: np.ndarray) -> None:
    """Items that are all alike cannot be told apart by two codes."""
    model = start_rqvae(embeddings, None, CONFIG)
    far = tf.fill([8, 4], 1e4)
    model.quantizer.codebooks.assign(
        tf.tensor_scatter_nd_update(model.quantizer.codebooks, [[0, code] for code in range(1, 8)], far[1:])
    )
    alike = WeightedRows(np.repeat(embeddings[:1], 50, axis=0), np.ones(50, np.float32))
    before = model.quantizer.codebooks.numpy()
    assert use_idle_codes(model, alike) == 0
    np.testing.assert_array_equal(model.quantizer.codebooks, before)


def test_one_code_of_all_items_is_halved_until_none_is_idle(embeddings: np.ndarray) -> None:
    model = start_rqvae(embeddings, None, CONFIG)
    books = model.quantizer.codebooks
    places = [[level, code] for level in (0, 1) for code in range(1, 8)]
    books.assign(tf.tensor_scatter_nd_update(books, places, tf.fill([14, 4], 1e4)))
    assert use_idle_codes(model, WeightedRows(embeddings, np.ones(400, np.float32))) >= 14
    assert list(sid.code_usage(model.encode(embeddings).numpy(), model.code_space)) == [1.0, 1.0]


def test_noise_and_dropout_fall_with_the_number_of_items() -> None:
    config = sid.RQVAEConfig(input_noise=2.0, hidden_dropout=0.5)
    assert noise_for(config, 1_000, 0.5) == noise_for(config, 12_000, 0.5) == 1.0
    assert noise_for(config, 48_000, 0.5) == pytest.approx(0.5)
    assert dropout_for(config, 5_000, 200) == dropout_for(config, 6_000, 48) == 0.5
    assert dropout_for(config, 24_000, 200) == dropout_for(config, 12_000, 48) == 0.25
    assert dropout_for(config, 100_000, 200) == dropout_for(config, 18_000, 48) == 0.0


def test_the_commitment_is_less_where_the_start_leaves_much() -> None:
    config = sid.RQVAEConfig(commitment_weight=0.4)
    assert commitment_for(config, 6_000, 0.1) == commitment_for(config, 300, 0.25**0.5) == 0.4
    assert commitment_for(config, 300, 0.5**0.5) == pytest.approx(0.025)


def test_the_commitment_rises_and_falls_with_the_number_of_items() -> None:
    config = sid.RQVAEConfig(commitment_weight=0.2)
    assert commitment_for(config, 9_000, 0.1) == pytest.approx(0.3)
    assert commitment_for(config, 18_000, 0.1) == commitment_for(config, 40_000, 0.1) == pytest.approx(0.6)
    assert commitment_for(config, 64_000, 0.1) == pytest.approx(0.5)
    assert commitment_for(config, 100_000, 0.1) == commitment_for(config, 10**7, 0.1) == pytest.approx(0.4)


def test_the_commitment_of_other_codebooks_is_as_given() -> None:
    config = sid.RQVAEConfig(commitment_weight=0.2, codebook_update="gradient")
    assert commitment_for(config, 10**7, 0.9) == 0.2


def test_a_fit_commits_by_what_its_start_leaves(embeddings: np.ndarray) -> None:
    model = start_rqvae(embeddings, None, dataclasses.replace(CONFIG, codebook_size=2))
    error = sid.normalized_mse(embeddings, model(embeddings).numpy()) ** 0.5
    assert error**2 > 0.25
    assert float(model.commitment) == pytest.approx(commitment_for(CONFIG, 400, error), rel=1e-3)


def test_noise_does_not_go_by_the_order_of_the_items() -> None:
    """Sorted by category: the first 8,192 lie on one spot, and tell nothing of what the start leaves."""
    random = np.random.default_rng(0)
    spread = np.where(np.arange(12_000) < 8_192, 0.01, 1.0)[:, None]
    items = (spread * random.normal(size=(12_000, 4))).astype(np.float32)
    model = start_rqvae(items, None, CONFIG)
    error = sid.normalized_mse(items, model(items).numpy()) ** 0.5
    assert float(model.input_noise) == pytest.approx(noise_for(CONFIG, 12_000, error), rel=0.05)


def test_a_catalogue_that_begins_with_zero_vectors_is_fitted(embeddings: np.ndarray) -> None:
    items = np.concatenate([np.zeros((8_192, 8), np.float32), embeddings])
    with pytest.warns(sid.CodebookCollapseWarning, match="nearly all items have one code"):
        model = sid.fit_rqvae(items, config=dataclasses.replace(CONFIG, epochs=1))
    assert 0 < float(model.input_noise) < 2


def test_items_that_are_all_equal_ask_for_no_noise(embeddings: np.ndarray) -> None:
    model = start_rqvae(embeddings, None, CONFIG)
    assert _error(model, WeightedRows(np.zeros((9, 8), np.float32), np.ones(9, np.float32))) == 0


def judged_fit(
    embeddings: np.ndarray, judged: np.ndarray, epochs: int
) -> tuple[sid.RQVAE, KeepBest, tf_keras.callbacks.CallbackList]:
    """A start about to be trained for so many epochs of one step, and what keeps its best weights."""
    model = start_rqvae(embeddings, None, CONFIG)
    model.compile(tf_keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    best = KeepBest(WeightedRows(judged, np.ones(len(judged), np.float32)))
    return model, best, tf_keras.callbacks.CallbackList([best], model=model, epochs=epochs, steps=1)


def test_where_the_judged_items_are_all_equal_the_start_is_kept(embeddings: np.ndarray) -> None:
    model, _, calls = judged_fit(embeddings, np.zeros((9, 8), np.float32), epochs=9)
    before = model.fingerprint
    calls.on_train_begin()
    model.quantizer.codebooks.assign(tf.zeros_like(model.quantizer.codebooks))
    calls.on_epoch_end(0)
    calls.on_train_end()
    assert model.fingerprint == before


@pytest.mark.parametrize(("spoiled", "epochs"), [(1.2, 20), (3.0, 10)])
def test_a_fit_that_does_not_better_its_start_ends(
    embeddings: np.ndarray, spoiled: float, epochs: int
) -> None:
    """After half of 40 epochs; after a quarter where it is far worse."""
    model, best, calls = judged_fit(embeddings, embeddings, epochs=40)
    calls.on_train_begin()
    bias = ((spoiled - 1) * best.best_error) ** 0.5  # adds its square to the normalized MSE
    model.decoder.linear.bias.assign(tf.fill([8], bias))
    done = 0
    while not model.stop_training and done < 40:
        calls.on_epoch_end(done)
        done += 1
    assert done == epochs


def test_a_disturbance_is_fixed_by_its_seeds() -> None:
    ones = tf.ones((400, 50))

    def drawn(noise_seed: int, drop_seed: int) -> tuple[np.ndarray, np.ndarray]:
        made = Disturbance.of(
            tf.Variable(0.3), 0.4, tf.constant([noise_seed, 0]), tf.constant([drop_seed, 0])
        )
        return made.noise(ones).numpy(), made.drop(ones).numpy()

    noised, dropped = drawn(1, 2)
    for first, second in zip(drawn(1, 2), (noised, dropped), strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(drawn(3, 2)[0], noised)
    assert (noised - 1).std() == pytest.approx(0.3, rel=0.03)
    assert np.mean(dropped == 0) == pytest.approx(0.4, abs=0.02)
    assert dropped.max() == pytest.approx(1 / 0.6)


def test_what_is_left_to_the_data_is_settled(embeddings: np.ndarray) -> None:
    """One step an epoch: as many epochs as the limit allows; each axis that holds a thousandth is kept."""
    config = dataclasses.replace(CONFIG, latent_dim=0, hidden_dim=0, batch_size=400, learning_rate=0.0)
    model = sid.fit_rqvae(embeddings, config=config)
    assert model.config.epochs == 200
    assert model.encoder.hidden_dim == model.config.hidden_dim == 256
    assert model.config.training_beam_width == 2
    variances = np.linalg.svd(embeddings - embeddings.mean(axis=0), compute_uv=False) ** 2
    assert model.latent_dim == np.sum(variances >= 0.001 * variances.sum())


def test_with_many_axes_encoders_are_narrower_and_decoders_wider() -> None:
    assert _hidden_widths(1) == _hidden_widths(128) == (256, 1024)
    assert _hidden_widths(129) == _hidden_widths(4096) == (128, 2048)
    assert sid.RQVAE(8, dataclasses.replace(CONFIG, hidden_dim=0)).encoder.hidden_dim == 256


@pytest.mark.parametrize(
    ("settings", "items", "width"),
    [
        ({"num_levels": 3}, 49_999, 2),
        ({"num_levels": 3}, 50_000, 1),
        ({"num_levels": 3, "beam_width": 4}, 50_000, 2),
        ({"num_levels": 4}, 50_000, 2),
        ({"num_levels": 4, "beam_width": 1}, 50_000, 2),
        ({"num_levels": 8, "progressive_levels": True}, 50_000, 1),
        ({"num_levels": 4, "assignment": "hybrid"}, 50_000, 1),
    ],
)
def test_levels_learn_by_a_beam_where_it_pays(settings: dict, items: int, width: int) -> None:
    assert _training_beam_width(sid.RQVAEConfig(**settings), items) == width


@pytest.mark.parametrize(("space", "held"), [(sid.CodeSpace(4, 256), 0.95), (sid.CodeSpace(6, 256), 0.975)])
def test_the_latent_space_holds_the_more_the_more_bits_codes_have(space: sid.CodeSpace, held: float) -> None:
    variances = 1.0 / np.arange(1, 2001)
    found = axes_for(variances, space)
    assert found == 1 + int(np.argmax(np.cumsum(variances) >= held * variances.sum()))


@pytest.mark.parametrize(
    ("config", "widths"),
    [
        (sid.RQVAEConfig(num_levels=4), (1, 5)),
        (sid.RQVAEConfig(num_levels=5), (2,)),
        (sid.RQVAEConfig(num_levels=5, start_beams=(3,)), (3,)),
        (sid.RQVAEConfig(assignment="hybrid", start_beams=(3,)), (1,)),
    ],
)
def test_starts_are_those_of_the_setting_or_for_the_levels(
    config: sid.RQVAEConfig, widths: tuple[int, ...]
) -> None:
    assert _widths(config) == widths
