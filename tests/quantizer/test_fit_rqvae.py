"""The laws of a fit: never worse than its start, no idle codes, one seed one result, bad input refused."""

from __future__ import annotations

import dataclasses
import re
import warnings

import numpy as np
import pytest
import tf_keras
from sklearn.decomposition import PCA

import semid_tf as sid
from semid_tf.quantizer.fit import start_rqvae
from semid_tf.quantizer.initialization import fit_standardization, principal_axes, residual_kmeans

CONFIG = sid.RQVAEConfig(
    num_levels=2, codebook_size=8, latent_dim=4, hidden_dim=8, epochs=2, batch_size=128, kmeans_iterations=5
)


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    """Four hundred items in clusters."""
    return sid.synthetic_items(400, dim=8, seed=1).embeddings


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    """Some items count much more than others, some not at all."""
    return np.random.default_rng(0).zipf(1.5, 400).clip(max=50).astype(np.float32) - 1


@pytest.mark.parametrize("learning_rate", [1e-3, 0.3])
def test_a_fit_is_never_worse_than_its_start(
    embeddings: np.ndarray, weights: np.ndarray, learning_rate: float
) -> None:
    kept = weights > 0
    config = dataclasses.replace(CONFIG, learning_rate=learning_rate)
    start = start_rqvae(embeddings[kept], weights[kept] / weights[kept].mean(), config)
    with warnings.catch_warnings():
        for said in (sid.CodebookCollapseWarning, sid.DivergenceWarning):  # at the large rate
            warnings.simplefilter("ignore", said)
        model = sid.fit_rqvae(embeddings, weights, config)
    before, after = (
        sid.normalized_mse(embeddings[kept], m(embeddings[kept]).numpy(), weights[kept])
        for m in (start, model)
    )
    assert after <= before + 1e-6


def test_training_improves_on_its_start(fitted: sid.RQVAE, catalogue_items: sid.Items) -> None:
    items = catalogue_items.embeddings
    start = start_rqvae(items, np.ones(len(items), np.float32), fitted.config)
    before, after = (sid.normalized_mse(items, model(items).numpy()) for model in (start, fitted))
    assert after < 0.99 * before
    assert after < 0.3


def test_steps_do_not_grow_with_the_gradient() -> None:
    """With gradients as they come, this fit explodes."""
    errors: list[float] = []
    told = tf_keras.callbacks.LambdaCallback(
        on_epoch_end=lambda _, logs: errors.append(logs["normalized_mse"])
    )
    config = dataclasses.replace(
        CONFIG, num_levels=3, codebook_size=32, latent_dim=32, hidden_dim=256, batch_size=256, epochs=30,
        learning_rate=0.04,
    )  # fmt: skip
    items = sid.synthetic_items(1500, dim=256, seed=3).embeddings
    sid.fit_rqvae(items, config=config, callbacks=[told])
    assert max(errors) < 1.5 * min(errors)


def test_a_fit_that_diverges_says_so_and_keeps_what_it_had(embeddings: np.ndarray) -> None:
    config = dataclasses.replace(CONFIG, learning_rate=1.0, epochs=12)
    said = r"training diverged: normalized MSE \S+ in the last epoch, \S+ in epoch \d+, which is kept; lower"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sid.CodebookCollapseWarning)
        with pytest.warns(sid.DivergenceWarning, match=said):
            model = sid.fit_rqvae(embeddings, config=config)
    start = start_rqvae(embeddings, None, config)
    before, after = (sid.normalized_mse(embeddings, m(embeddings).numpy()) for m in (start, model))
    assert after <= before + 1e-6


def test_almost_every_code_is_in_use(fitted_codes: np.ndarray, fitted: sid.RQVAE) -> None:
    usage = sid.code_usage(fitted_codes, fitted.code_space)
    assert np.mean(usage) >= 0.99


def test_codes_are_coarsest_first(
    fitted: sid.RQVAE, catalogue_items: sid.Items, fitted_codes: np.ndarray
) -> None:
    """Items of one kind share the first code far more often than the last."""
    table = catalogue_items.table.to_pandas()
    of_kind = table.groupby(["category", "kind"]).indices.values()
    same = [
        np.mean([np.bincount(fitted_codes[rows, level]).max() / len(rows) for rows in of_kind])
        for level in range(fitted.code_space.num_levels)
    ]
    assert same[0] > 0.9
    assert same[0] > same[-1] + 0.3


def test_one_seed_one_result(embeddings: np.ndarray, weights: np.ndarray) -> None:
    first, second = (sid.fit_rqvae(embeddings, weights, CONFIG) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    np.testing.assert_array_equal(first.encode(embeddings), second.encode(embeddings))
    other = sid.fit_rqvae(embeddings, weights, dataclasses.replace(CONFIG, seed=5))
    assert other.fingerprint != first.fingerprint


def test_items_of_weight_zero_have_no_influence(embeddings: np.ndarray) -> None:
    junk = np.full((30, 8), np.nan, np.float32)
    order = np.random.default_rng(0).permutation(430)
    mixed = np.concatenate([embeddings, junk])[order]
    real = order < 400
    among_junk = sid.fit_rqvae(mixed, real.astype(float), CONFIG)
    assert among_junk.fingerprint == sid.fit_rqvae(mixed[real], config=CONFIG).fingerprint


def test_only_the_proportion_of_weights_counts(embeddings: np.ndarray, weights: np.ndarray) -> None:
    once, fourfold = (sid.fit_rqvae(embeddings, factor * weights, CONFIG) for factor in (1, 4))
    assert once.fingerprint == fourfold.fingerprint


def test_heavy_items_are_reconstructed_better() -> None:
    random = np.random.default_rng(3)
    embeddings = random.normal(size=(600, 8)).astype(np.float32)
    weights = np.where(np.arange(600) < 60, 200.0, 1.0)
    model = sid.fit_rqvae(embeddings, weights, CONFIG)
    errors = np.square(embeddings - model(embeddings).numpy()).sum(axis=1)
    assert errors[:60].mean() < 0.7 * errors[60:].mean()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, w: (e[0], w), "embeddings have shape [8]; [items, dimension] is needed."),
        (lambda e, w: (e[:7], w[:7]), "7 items are too few for codebook_size 8; lower it."),
        (lambda e, w: (e, np.arange(400) < 7), "7 items are too few for codebook_size 8; lower it."),
        (lambda e, w: (e, w[:-1]), "weights have shape [399]; [400] is needed, one an item."),
        (lambda e, w: (e, w[:, None]), "weights have shape [400, 1]; [400] is needed, one an item."),
        (lambda e, w: (e, -w), "weights must be finite and not negative."),
        (lambda e, w: (e, w * np.nan), "weights must be finite and not negative."),
        (lambda e, w: (np.where(np.arange(400)[:, None] == 9, np.nan, e), w), "embeddings[9] is not finite;"),
        (lambda e, w: (np.where(np.arange(400)[:, None] == 9, np.inf, e), w), "embeddings[9] is not finite;"),
        (
            lambda e, w: (np.where(np.arange(400)[:, None] == 9, np.nan, e), w * (np.arange(400) > 3)),
            "embeddings[9] is not finite;",
        ),
        (
            lambda e, w: (np.float64(e) * 1e300, w),
            "embeddings[0] is not finite in float32 (its float64 numbers are too large);",
        ),
        (lambda e, w: (e, w * 0), "there is no item of weight above 0;"),
        (lambda e, w: (np.tile(e[:1], (400, 1)), w), "all embeddings are equal; items must differ"),
    ],
)
def test_bad_input_is_refused(embeddings: np.ndarray, change: object, message: str) -> None:
    with pytest.raises(sid.DataError, match="^" + re.escape(message)):
        sid.fit_rqvae(*change(embeddings, np.ones(400)), CONFIG)


def test_training_that_explodes_is_said(embeddings: np.ndarray) -> None:
    config = dataclasses.replace(CONFIG, learning_rate=1e30)
    with pytest.raises(
        sid.TrainingError, match=r"^the loss is not finite in epoch 1, step 3; lower learning_rate\.$"
    ):
        sid.fit_rqvae(embeddings, config=config)


def test_fewer_different_items_than_codes(embeddings: np.ndarray) -> None:
    few = np.tile(embeddings[:5], (40, 1))
    with pytest.warns(sid.CodebookCollapseWarning, match="there are only 5 different items"):
        model = sid.fit_rqvae(few, config=CONFIG)
    codes = model.encode(few).numpy()
    assert len(np.unique(codes, axis=0)) == 5
    np.testing.assert_array_equal(codes[:5], codes[-5:])


def test_the_start_is_pca_then_kmeans(embeddings: np.ndarray) -> None:
    weights = np.ones(400, np.float32)
    standardization = fit_standardization(embeddings, weights)
    np.testing.assert_allclose(standardization.mean, embeddings.mean(axis=0), atol=1e-6)
    assert standardization.scale == pytest.approx(np.sqrt(embeddings.var(axis=0).mean()), rel=1e-5)
    inputs = (embeddings - standardization.mean) / standardization.scale
    axes = principal_axes(inputs, weights).first(4)
    np.testing.assert_allclose(axes.T @ axes, np.eye(4), atol=1e-5)
    expected = PCA(4).fit(inputs).components_
    np.testing.assert_allclose(np.abs(np.sum(axes.T * expected, axis=1)), 1, atol=1e-4)
    model = start_rqvae(embeddings, weights, CONFIG)
    restored = model.quantizer.decode(model.encode(embeddings)).numpy() @ axes.T
    expected_embeddings = restored * standardization.scale + standardization.mean
    np.testing.assert_allclose(model(embeddings), expected_embeddings, atol=1e-5)


def test_weights_of_the_start_count_like_copies(embeddings: np.ndarray) -> None:
    weights = np.arange(1, 401) % 4 + 1
    copies = np.repeat(embeddings, weights, axis=0)
    once = fit_standardization(embeddings, weights)
    all_of_them = fit_standardization(copies, np.ones(len(copies)))
    np.testing.assert_allclose(once.mean, all_of_them.mean, atol=1e-6)
    assert once.scale == pytest.approx(all_of_them.scale, rel=1e-5)
    centred, centred_copies = embeddings - once.mean, copies - once.mean
    axes = principal_axes(centred, weights).first(3)
    others = principal_axes(centred_copies, np.ones(len(copies))).first(3)
    np.testing.assert_allclose(np.abs(np.sum(axes * others, axis=0)), 1, atol=1e-4)


def test_kmeans_leaves_nothing_where_there_is_a_code_for_each() -> None:
    latent = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    books = residual_kmeans(np.tile(latent, (4, 1)), np.ones(24), 1, 6, 20, seed=0)
    assert sorted(books[0].round(4).tolist()) == sorted(latent.round(4).tolist())
