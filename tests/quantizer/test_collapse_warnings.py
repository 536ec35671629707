"""A dead level is named, with what mends it; a sound one is left in peace."""

from __future__ import annotations

import numpy as np
import pytest

import semid_tf as sid

SPACE = sid.CodeSpace(3, 256)


def warnings_of(codes: np.ndarray, space: sid.CodeSpace) -> list[str]:
    """As they come from codes."""
    return sid.collapse_warnings(
        sid.code_usage(codes, space), sid.perplexity(codes, space), space, len(codes)
    )


def test_the_lines() -> None:
    assert sid.collapse_warnings([1 / 256, 0.25, 1.0], [1.0, 60.0, 8.2], SPACE) == [
        "level 0 is dead: nearly all items have one code, 1 of 256 codes in use (0 %); start from k-means "
        "over more items (kmeans_items), lower learning_rate, revive dead codes sooner (revive_after_steps).",
        "level 1 has collapsed: 64 of 256 codes in use (25 %); revive dead codes sooner "
        "(revive_after_steps), start from k-means over more items (kmeans_items), lower learning_rate, or "
        "lower codebook_size.",
        "level 2 is uneven: 256 of 256 codes in use (100 %), but most items share about 8 of them; start "
        "from k-means over more items (kmeans_items), lower learning_rate, or look for items that are nearly "
        "equal.",
    ]


def test_a_dead_later_level_may_be_one_too_many() -> None:
    (line,) = sid.collapse_warnings([1, 1, 0.01], [200, 200, 1.2], SPACE)
    assert line.startswith("level 2 is dead: ")
    assert line.endswith(", or fit fewer levels (num_levels): earlier codes leave nothing to tell apart.")


@pytest.mark.parametrize("exponent", [0, 0.5, 1])
@pytest.mark.parametrize("size", [16, 256, 2048])
def test_long_tails_are_sound(size: int, exponent: float) -> None:
    shares = 1 / np.arange(1, size + 1) ** exponent
    codes = np.random.default_rng(0).choice(size, 200_000, p=shares / shares.sum())[:, None]
    assert warnings_of(codes, sid.CodeSpace(1, size)) == []


def test_sound_codes_of_a_fitted_quantizer(fitted: sid.RQVAE, fitted_codes: np.ndarray) -> None:
    assert warnings_of(fitted_codes, fitted.code_space) == []


def test_codes_of_one_half_of_a_level() -> None:
    codes = np.arange(4000)[:, None] % 100
    (line,) = warnings_of(codes, sid.CodeSpace(1, 256))
    assert line.startswith("level 0 has collapsed: 100 of 256 codes in use (39 %); ")


def test_few_items_cannot_use_more_codes() -> None:
    assert warnings_of(np.arange(9)[:, None], sid.CodeSpace(1, 256)) == []
    assert warnings_of(np.zeros((1, 1), int), sid.CodeSpace(1, 256)) == []
    assert len(warnings_of(np.zeros((9, 1), int), sid.CodeSpace(1, 256))) == 1


def test_a_level_of_one_code_is_not_dead() -> None:
    assert sid.collapse_warnings([1.0], [1.0], sid.CodeSpace(1, 1)) == []
