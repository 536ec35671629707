"""Residual k-means: its laws, its options, and what it refuses. (Equal codes everywhere: see contracts.)"""

from __future__ import annotations

import dataclasses
import itertools
import re

import numpy as np
import pytest
from reference import residual_quantization as reference
from sklearn.cluster import KMeans

import semid_tf as sid
from semid_tf.quantizer.fsq import axis_steps

CONFIG = sid.ResidualKMeansConfig(num_levels=2, codebook_size=8)


@pytest.fixture(scope="module")
def items() -> np.ndarray:
    """Two thousand items in clusters, 8 numbers each."""
    return sid.synthetic_items(2_000, dim=8, seed=1).embeddings


def error(model: sid.ResidualKMeans, items: np.ndarray) -> float:
    """Normalised squared error."""
    return sid.normalized_mse(items, model(items).numpy())


def test_codes_are_those_of_numpy(items: np.ndarray) -> None:
    model = sid.fit_residual_kmeans(items, config=CONFIG)
    books = [model.quantizer.codebook(level).numpy() for level in range(2)]
    latent = (items.astype(np.float64) - model.mean.numpy()) / model.scale.numpy()
    residuals, _ = reference.residuals_and_codes(latent, books)
    rounding = 1e-6 * np.square(latent).sum(axis=1).max()
    assert reference.too_far(latent, books, model.encode(items).numpy()).max() < rounding
    restored = (latent - residuals[-1]) * model.scale.numpy() + model.mean.numpy()
    assert error(model, items) == pytest.approx(sid.normalized_mse(items, restored), rel=1e-3)


def test_it_is_as_good_as_scikit_learn_level_by_level(items: np.ndarray) -> None:
    left = items.astype(np.float64)
    for seed in range(2):
        fitted = KMeans(8, n_init=1, random_state=seed).fit(left)
        left = left - fitted.cluster_centers_[fitted.labels_]
    theirs = np.square(left).sum() / np.square(items - items.mean(axis=0)).sum()
    assert error(sid.fit_residual_kmeans(items, config=CONFIG), items) < 1.02 * theirs


def test_refining_all_levels_together_improves_on_levels_in_turn(items: np.ndarray) -> None:
    config = dataclasses.replace(CONFIG, num_levels=3)
    in_turn, together = (
        error(sid.fit_residual_kmeans(items, config=dataclasses.replace(config, refinements=rounds)), items)
        for rounds in (0, 15)
    )
    assert together < 0.98 * in_turn


def test_axes_without_variance_change_nothing_but_the_time(items: np.ndarray) -> None:
    """A fit in 64 dimensions of which eight vary is that in the eight."""
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(64, items.shape[1])))[0].astype(np.float32)
    wide = items @ axes.T + 3
    fitted = sid.fit_residual_kmeans(wide, config=CONFIG)
    books = fitted.quantizer.codebooks.numpy()
    np.testing.assert_allclose(books @ axes @ axes.T, books, atol=1e-5)
    plain = sid.fit_residual_kmeans(items, config=CONFIG)
    assert error(fitted, wide) == pytest.approx(error(plain, items), rel=0.05)


def test_each_code_is_in_use(items: np.ndarray) -> None:
    model = sid.fit_residual_kmeans(
        items, config=sid.ResidualKMeansConfig(num_levels=3, codebook_size=(32, 16, 8))
    )
    codes = model.encode(items).numpy()
    assert sid.code_usage(codes, sid.CodeSpace(3, (32, 16, 8))) == [1, 1, 1]


def test_balanced_clusters_weigh_alike_and_so_do_those_of_new_items() -> None:
    all_items = sid.synthetic_items(12_000, dim=8, seed=2).embeddings
    seen, new = all_items[:6_000], all_items[6_000:]
    weights = np.random.default_rng(0).uniform(0.5, 2, len(seen))
    plain, balanced = (
        sid.fit_residual_kmeans(seen, weights, dataclasses.replace(CONFIG, codebook_size=16, balanced=flag))
        for flag in (False, True)
    )

    def loads(model: sid.ResidualKMeans, items: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        codes = model.encode(items).numpy()
        return np.stack([np.bincount(level, weights, minlength=16) for level in codes.T]) * 16 / len(items)

    even = loads(balanced, seen, weights) / weights.mean()
    assert np.abs(even - 1).max() < 0.1
    assert np.abs(loads(balanced, new) - 1).max() < 0.35
    assert np.abs(loads(plain, new) - 1).max() > 0.5
    assert error(balanced, seen) > error(plain, seen)


def test_the_last_level_by_fsq_is_each_axis_rounded_to_its_steps(items: np.ndarray) -> None:
    config = dataclasses.replace(CONFIG, codebook_size=(16, 12), fsq_sizes=(4, 3))
    model = sid.fit_residual_kmeans(items, config=config)
    codes, latent = model.encode(items).numpy(), model.latent(items).numpy()
    left = latent - model.quantizer.codebook(0).numpy()[codes[:, 0]]
    book = model.quantizer.codebook(1).numpy().reshape(4, 3, -1)
    # Equal steps along two axes at a right angle.
    first, second = np.diff(book, axis=0), np.diff(book, axis=1)
    assert np.ptp(first, axis=(0, 1)).max() < 1e-4
    assert np.ptp(second, axis=(0, 1)).max() < 1e-4
    assert abs(first[0, 0] @ second[0, 0]) < 1e-5
    # Rounding along each axis is the nearest codeword.
    digits = []
    for step, size in ((first[0, 0], 4), (second[0, 0], 3)):
        place = (left - book[0, 0]) @ step / (step @ step)
        digits.append(np.clip(np.floor(place + 0.5), 0, size - 1))
    assert (digits[0] * 3 + digits[1] == codes[:, 1]).mean() > 0.998
    assert sid.code_usage(codes, model.code_space)[1] == 1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_steps_of_an_axis_are_the_best_of_their_kind(count: int) -> None:
    values = np.random.default_rng(0).normal(size=4_000)
    weights = np.ones(4_000)
    steps = axis_steps(values, weights, count)
    gaps = np.diff(steps)
    assert len(steps) == count
    assert np.ptp(gaps) < 1e-9 if count > 1 else steps[0] == 0
    # Best uniform quantizers of a normal variable: Max 1960, table II: 1.596 and .8430 steps.
    if count > 1:
        assert gaps[0] == pytest.approx({2: 1.596, 5: 0.8430}[count], rel=0.06)


def test_normalised_residuals_are_restored_with_their_mean_lengths(items: np.ndarray) -> None:
    model = sid.fit_residual_kmeans(items, config=dataclasses.replace(CONFIG, assignment="normalized"))
    latent = model.latent(items).numpy()
    lengths = np.linalg.norm(latent, axis=1)
    codes = model.encode(items).numpy()
    first, second = (model.quantizer.codebook(lv).numpy()[codes[:, lv]] for lv in range(2))
    left = latent / lengths[:, None] - first
    norms = lengths.mean(), np.linalg.norm(left, axis=1).mean()
    np.testing.assert_allclose(model.norms, norms, rtol=1e-4)
    restored = norms[0] * (first + norms[1] * second) * model.scale.numpy() + model.mean.numpy()
    np.testing.assert_allclose(model.decode(codes), restored, atol=1e-4)
    # Lengths do not count: an item further out along its own direction has the same codes.
    further = (latent * 3) * model.scale.numpy() + model.mean.numpy()
    assert (model.encode(further).numpy() == codes).all(axis=1).mean() > 0.999


@pytest.mark.parametrize("options", [{}, {"balanced": True}, {"assignment": "hybrid"}, {"fsq_sizes": (4, 2)}])
def test_one_seed_one_result_and_weight_zero_no_influence(items: np.ndarray, options: dict) -> None:
    config = dataclasses.replace(CONFIG, **options)
    some = items[:500]
    first, second = (sid.fit_residual_kmeans(some, config=config) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    junk = np.concatenate([np.full((40, 8), np.nan, np.float32), some])
    weights = np.arange(540) >= 40
    assert sid.fit_residual_kmeans(junk, weights, config).fingerprint == first.fingerprint
    if not options.get("fsq_sizes"):
        other = sid.fit_residual_kmeans(some, config=dataclasses.replace(config, seed=7))
        assert other.fingerprint != first.fingerprint


def test_a_weight_counts_like_copies_in_what_is_minimised() -> None:
    random = np.random.default_rng(0)
    spots = random.normal(size=(30, 4)).astype(np.float32)
    weights = np.where(np.arange(30) < 8, 1_000.0, 1.0)
    model = sid.fit_residual_kmeans(spots, weights, sid.ResidualKMeansConfig(num_levels=1, codebook_size=10))
    errors = np.square(spots - model(spots).numpy()).sum(axis=1)
    assert errors[:8].max() < 0.05
    assert errors[8:].mean() > 0.1


@pytest.mark.filterwarnings("ignore::semid_tf.CodebookCollapseWarning")
def test_fewer_different_items_than_codes(items: np.ndarray) -> None:
    few = np.tile(items[:5], (40, 1))
    for balanced in (False, True):
        model = sid.fit_residual_kmeans(few, config=dataclasses.replace(CONFIG, balanced=balanced))
        codes = model.encode(few).numpy()
        np.testing.assert_array_equal(codes[:5], codes[-5:])
    plain = sid.fit_residual_kmeans(few, config=CONFIG)
    assert len(np.unique(plain.encode(few), axis=0)) == 5
    np.testing.assert_allclose(plain(few), few, atol=1e-4)


def test_a_collapse_is_said(items: np.ndarray) -> None:
    """Nineteen of twenty items are one."""
    same = items[np.maximum(np.arange(2_000) - 1_900, 0)]
    with pytest.warns(sid.CodebookCollapseWarning) as caught:
        sid.fit_residual_kmeans(same, config=CONFIG)
    assert {warning.filename for warning in caught} == {__file__}
    first, second = (str(warning.message) for warning in caught)
    assert first.startswith("level 0 is dead, nearly all items have one code: ")
    assert first.endswith("; look for items that are nearly equal.")
    assert second.startswith("level 1 is dead, ")
    assert second.endswith(", or fit fewer levels (num_levels): earlier codes leave nothing to tell apart.")


def test_a_source_is_clustered_as_arrays_are(items: np.ndarray) -> None:
    weights = np.arange(2_000) % 3
    in_memory = sid.fit_residual_kmeans(items, weights, CONFIG)
    source = sid.fit_residual_kmeans(sid.EmbeddingArrays(items, weights), config=CONFIG)
    np.testing.assert_allclose(source.mean, in_memory.mean, atol=1e-6)
    assert (source.encode(items).numpy() == in_memory.encode(items).numpy()).all(axis=1).mean() > 0.99


def test_of_a_large_source_a_sample_is_clustered_and_all_make_the_mean(items: np.ndarray) -> None:
    config = dataclasses.replace(CONFIG, kmeans_items=500)
    model = sid.fit_residual_kmeans(sid.EmbeddingArrays(items), config=config)
    np.testing.assert_allclose(model.mean, items.mean(axis=0), atol=1e-6)
    whole = sid.fit_residual_kmeans(items, config=CONFIG)
    assert error(whole, items) < error(model, items) < 1.3 * error(whole, items)


def test_weights_beside_a_source_are_refused(items: np.ndarray) -> None:
    with pytest.raises(sid.ConfigError, match="weights go with arrays only"):
        sid.fit_residual_kmeans(sid.EmbeddingArrays(items), np.ones(2_000), CONFIG)


ROW_9 = np.arange(2_000)[:, None] == 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e[0], "embeddings have shape [8]; [items, dimension] is needed."),
        (lambda e: e[:0], "0 items are too few for codebook_size 8; lower it."),
        (lambda e: e[:7], "7 items are too few for codebook_size 8; lower it."),
        (lambda e: np.where(ROW_9, np.nan, e), "embeddings[9] is not finite; remove or mend that item."),
        (lambda e: np.tile(e[:1], (400, 1)), "all embeddings are equal; items must differ"),
        (
            lambda e: np.where(ROW_9, np.float16(np.inf), e.astype(np.float16)),
            "embeddings[9] is not finite (float16 ends at 65504); remove or mend that item.",
        ),
        (
            lambda e: np.where(ROW_9, 1e300, e.astype(np.float64)),
            "embeddings[9] is not finite in float32 (its float64 numbers are too large); remove or mend",
        ),
    ],
)
def test_bad_input_is_refused(items: np.ndarray, change: object, message: str) -> None:
    with pytest.raises(sid.DataError, match="^" + re.escape(message)):
        sid.fit_residual_kmeans(change(items), config=CONFIG)


def test_bad_weights_are_refused(items: np.ndarray) -> None:
    for weights, message in (
        (np.ones(3), "weights have shape [3]; [2000] is needed, one an item."),
        (-np.ones(2_000), "weights must be finite and not negative."),
    ):
        with pytest.raises(sid.DataError, match="^" + re.escape(message)):
            sid.fit_residual_kmeans(items, weights, CONFIG)


def test_more_fsq_axes_than_dimensions_are_refused(items: np.ndarray) -> None:
    config = sid.ResidualKMeansConfig(num_levels=2, codebook_size=16, fsq_sizes=(2, 2, 2, 2))
    with pytest.raises(sid.ConfigError, match="fsq_sizes names 4 axes of 3 dimensions; name no more"):
        sid.fit_residual_kmeans(items[:, :3], config=config)


def test_a_beam_finds_better_codes(items: np.ndarray) -> None:
    model = sid.fit_residual_kmeans(items, config=dataclasses.replace(CONFIG, num_levels=3))
    greedy, beam = (
        np.square(items - model.decode(model.encode(items, width)).numpy()).sum(axis=1) for width in (1, 5)
    )
    assert (beam <= greedy + 1e-5).all()
    assert beam.mean() < greedy.mean()


def test_every_code_tuple_decodes_to_the_sum_of_its_codewords(items: np.ndarray) -> None:
    model = sid.fit_residual_kmeans(items, config=dataclasses.replace(CONFIG, codebook_size=(8, 4)))
    every = np.array(list(itertools.product(range(8), range(4))), np.int32)
    books = [model.quantizer.codebook(level).numpy() for level in range(2)]
    expected = reference.decode(every, books) * model.scale.numpy() + model.mean.numpy()
    np.testing.assert_allclose(model.decode(every), expected, atol=1e-5)
