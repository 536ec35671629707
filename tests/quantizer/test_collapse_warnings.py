"""A dead level is named, with what mends it; a sound one is left in peace."""

from __future__ import annotations

import numpy as np
import pytest

import semid_tf as sid
from semid_tf.quantizer.collapse import different_rows

SPACE = sid.CodeSpace(3, 256)


def warnings_of(codes: np.ndarray, space: sid.CodeSpace) -> list[str]:
    """As they come from codes."""
    return sid.collapse_warnings(
        sid.code_usage(codes, space), sid.perplexity(codes, space), space, len(codes)
    )


def test_the_lines() -> None:
    assert sid.collapse_warnings([1 / 256, 0.25, 1.0], [1.0, 60.0, 8.2], SPACE) == [
        "level 0 is dead, nearly all items have one code: 1 of 256 codes in use (0 %), perplexity 1.0; start "
        "from k-means over more items (kmeans_items), lower learning_rate, revive dead codes sooner "
        "(revive_after_steps).",
        "level 1 has collapsed: 64 of 256 codes in use (25 %), perplexity 60.0; revive dead codes sooner "
        "(revive_after_steps), start from k-means over more items (kmeans_items), lower learning_rate, or "
        "lower codebook_size.",
        "level 2 is uneven, most items share a few codes: 256 of 256 codes in use (100 %), perplexity 8.2; "
        "start from k-means over more items (kmeans_items), lower learning_rate, or look for items that are "
        "nearly equal.",
    ]


def test_a_dead_later_level_may_be_one_too_many() -> None:
    (line,) = sid.collapse_warnings([1, 1, 0.01], [200, 200, 1.2], SPACE)
    assert line.startswith("level 2 is dead, ")
    assert line.endswith(", or fit fewer levels (num_levels): earlier codes leave nothing to tell apart.")


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([10] * 20, False),
        ([10] * 18 + [0] * 2, False),  # 90 % in use
        ([10] * 17 + [0] * 3, True),
        ([81] + [1] * 19, True),  # all in use, perplexity 2.75 of 20
        ([10] * 3 + [1] * 17, False),  # perplexity 12
    ],
)
def test_what_is_said(counts: list[int], said: bool) -> None:
    codes = np.stack([np.arange(sum(counts)) % 20, np.repeat(np.arange(20), counts)], axis=1)
    lines = warnings_of(codes, sid.CodeSpace(2, 20))
    assert [line.startswith("level 1 ") for line in lines] == [True] * said


def test_each_level_has_its_own_size() -> None:
    """18 of 20 codes in use are 90 %; 18 of 24 are not."""
    codes = np.stack([np.arange(360) % 18] * 2, axis=1)
    (line,) = warnings_of(codes, sid.CodeSpace(2, (20, 24)))
    assert line.startswith("level 1 has collapsed: 18 of 24 codes in use (75 %), perplexity 18.0; ")


def zipf_codes(size: int, exponent: float) -> np.ndarray:
    """Codes of 200,000 items, the k-th in use as k ** -exponent."""
    shares = 1 / np.arange(1, size + 1) ** exponent
    return np.random.default_rng(0).choice(size, 200_000, p=shares / shares.sum())[:, None]


@pytest.mark.parametrize(
    ("size", "exponent"), [(16, 0), (16, 1), (256, 0), (256, 0.5), (256, 1), (2048, 0), (2048, 0.5)]
)
def test_long_tails_are_sound(size: int, exponent: float) -> None:
    assert warnings_of(zipf_codes(size, exponent), sid.CodeSpace(1, size)) == []


def test_the_longest_tail_over_many_codes_is_said() -> None:
    (line,) = warnings_of(zipf_codes(2048, 1), sid.CodeSpace(1, 2048))
    assert line.startswith("level 0 is uneven, most items share a few codes: 2048 of 2048 codes in use ")


def test_sound_codes_of_a_fitted_quantizer(fitted: sid.RQVAE, fitted_codes: np.ndarray) -> None:
    assert warnings_of(fitted_codes, fitted.code_space) == []


def test_codes_of_one_half_of_a_level() -> None:
    codes = np.arange(4000)[:, None] % 100
    (line,) = warnings_of(codes, sid.CodeSpace(1, 256))
    assert line.startswith("level 0 has collapsed: 100 of 256 codes in use (39 %), perplexity 100.0; ")


def test_few_items_cannot_use_more_codes() -> None:
    assert warnings_of(np.arange(9)[:, None], sid.CodeSpace(1, 256)) == []
    assert warnings_of(np.zeros((1, 1), int), sid.CodeSpace(1, 256)) == []
    assert len(warnings_of(np.zeros((9, 1), int), sid.CodeSpace(1, 256))) == 1


@pytest.mark.parametrize(("size", "items"), [(256, 300), (2048, 2048), (16_384, 20_000)])
def test_codes_that_few_items_leave_unused_by_chance_are_not_missed(size: int, items: int) -> None:
    """Chosen evenly, yet 69, 63 and 70 % of the codes are in use; of half as many codes it is said."""
    choice = np.random.default_rng(0).integers(0, size, (items, 1))
    assert warnings_of(choice, sid.CodeSpace(1, size)) == []
    (line,) = warnings_of(choice // 2, sid.CodeSpace(1, size))
    assert line.startswith("level 0 has collapsed: ")


def test_different_rows_are_counted_until_all_codes_can_be_reached() -> None:
    rows = np.repeat(np.arange(100), 2)[:, None]
    assert different_rows(rows, sid.CodeSpace(1, 8)) == 100
    assert different_rows(rows, sid.CodeSpace(2, (5, 2))) == 80


def test_a_level_of_one_code_is_not_dead() -> None:
    assert sid.collapse_warnings([1.0], [1.0], sid.CodeSpace(1, 1)) == []
