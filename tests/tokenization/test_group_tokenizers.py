"""N-grams and prefixes: direct indices are a bijection, hashed ones a fair and reproducible hash."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

import semid_tf as sid

SPACES = [
    sid.CodeSpace(levels, size)
    for levels, size in [(1, 5), (2, 4), (3, 3), (4, 2), (3, 1), (3, (4, 2, 3)), (2, (1, 5))]
]


def all_codes(space: sid.CodeSpace) -> np.ndarray:
    """Every Semantic ID of a code space."""
    every = itertools.product(*map(range, space.codebook_sizes))
    return np.array(list(every), np.int32)


def direct(space: sid.CodeSpace) -> list[sid.Tokenizer]:
    """All tokenizers by direct index."""
    grams = [sid.NgramTokenizer(space, n) for n in range(1, space.num_levels + 1)]
    return [*grams, sid.PrefixTokenizer(space)]


def test_groups_by_hand() -> None:
    space = sid.CodeSpace(5, 4)
    assert sid.NgramTokenizer(space, n=2).groups() == [range(0, 2), range(2, 4), range(4, 5)]
    assert sid.NgramTokenizer(space).groups() == [range(i, i + 1) for i in range(5)]
    assert sid.PrefixTokenizer(space).groups() == [range(i) for i in range(1, 6)]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_direct_indices_are_a_bijection_onto_the_rows(space: sid.CodeSpace) -> None:
    codes = all_codes(space)
    for tokenizer in direct(space):
        pieces = tokenizer.encode(codes)
        groups = {
            (place, *row[list(levels)]): int(piece)
            for row, ids in zip(codes, pieces, strict=True)
            for place, (levels, piece) in enumerate(zip(tokenizer.groups(), ids, strict=True))
        }
        # As many groups as rows, each on a row of its own, no row but the padding left over.
        assert sorted(groups.values()) == list(range(1, tokenizer.num_rows))


def test_direct_indices_of_unequal_levels_are_numbers_of_mixed_radix() -> None:
    space = sid.CodeSpace(3, (4, 2, 3))
    pieces = sid.NgramTokenizer(space, n=2).encode(np.array([[0, 0, 0], [1, 0, 1], [3, 1, 2]]))
    assert pieces.tolist() == [[1, 9], [3, 10], [8, 11]]
    pieces = sid.PrefixTokenizer(space).encode(np.array([[3, 1, 2]]))
    assert pieces.tolist() == [[1 + 3, 1 + 4 + 3 * 2 + 1, 1 + 4 + 8 + (3 * 2 + 1) * 3 + 2]]


def test_direct_indices_are_in_order_of_place_and_codes() -> None:
    space = sid.CodeSpace(3, 4)
    pieces = sid.NgramTokenizer(space, n=2).encode(np.array([[0, 0, 0], [0, 1, 1], [3, 3, 3]]))
    assert pieces.tolist() == [[1, 17], [2, 18], [16, 20]]
    pieces = sid.PrefixTokenizer(space).encode(np.array([[1, 2, 3]]))
    assert pieces.tolist() == [[1 + 1, 1 + 4 + 1 * 4 + 2, 1 + 4 + 16 + 1 * 16 + 2 * 4 + 3]]


@st.composite
def hashed(draw: st.DrawFn) -> tuple[sid.Tokenizer, np.ndarray]:
    """A hashed tokenizer of any code space, and codes."""
    space = sid.CodeSpace(draw(st.integers(1, 8)), draw(st.integers(1, 2**20)))
    num_rows = draw(st.integers(2, 2**31 - 1) | st.integers(2, 100))
    kind = draw(st.sampled_from([sid.PrefixTokenizer, sid.NgramTokenizer]))
    tokenizer = kind(space, num_rows=num_rows)
    if kind is sid.NgramTokenizer:
        tokenizer = kind(space, draw(st.integers(1, space.num_levels)), num_rows)
    codes = np.random.default_rng(draw(st.integers(0, 99))).integers(
        0, space.codebook_size, (20, space.num_levels)
    )
    codes[0], codes[1] = 0, space.codebook_size - 1
    return tokenizer, codes.astype(np.int32)


def hash_in_whole_numbers(codes: list[int], place: int, num_rows: int) -> int:
    """The hash with Python's integers, which never wrap."""
    value = (place + 1) * 982_451_653 % (2**31 - 1)
    for code in codes:
        value = (value + code + 1) * 1_664_525_013 % (2**31 - 1)
    return value % (num_rows - 1) + 1


@given(hashed())
def test_hashed_rows_are_equal_in_numpy_in_graph_and_in_whole_numbers(
    drawn: tuple[sid.Tokenizer, np.ndarray],
) -> None:
    tokenizer, codes = drawn
    expected = [
        [
            hash_in_whole_numbers([int(row[i]) for i in levels], place, tokenizer.num_rows)
            for place, levels in enumerate(tokenizer.groups())
        ]
        for row in codes
    ]
    pieces = tokenizer.encode(codes)
    assert pieces.min() >= 1
    assert pieces.max() < tokenizer.num_rows
    np.testing.assert_array_equal(pieces, expected)
    np.testing.assert_array_equal(tokenizer.encode_in_graph(tf.constant(codes)), expected)


@pytest.mark.parametrize("num_rows", [100, 1024, 4097])
@pytest.mark.parametrize("space", [sid.CodeSpace(2, 128), sid.CodeSpace(3, 25)], ids=str)
def test_hashed_rows_are_spread_evenly(space: sid.CodeSpace, num_rows: int) -> None:
    """Chi square over its degrees of freedom is 1 for a random function, less for a more even one."""
    for codes in (all_codes(space), np.random.default_rng(0).permutation(all_codes(space))[:9_000]):
        pieces = sid.NgramTokenizer(space, space.num_levels, num_rows).encode(codes)
        counts = np.bincount(pieces.ravel(), minlength=num_rows)[1:]
        expected = len(pieces) / (num_rows - 1)
        assert np.square(counts - expected).sum() / expected / (num_rows - 2) < 1.3


def test_equal_codes_at_other_places_fall_on_other_rows() -> None:
    pieces = sid.NgramTokenizer(sid.CodeSpace(4, 64), num_rows=100_000).encode(np.full((64, 4), 7))
    assert len(np.unique(pieces[0])) == 4


def test_a_prefix_is_shared_exactly_by_items_that_share_its_codes() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 4, (200, 4))
    pieces = sid.PrefixTokenizer(sid.CodeSpace(4, 4)).encode(codes)
    for length in range(1, 5):
        same_codes = (codes[:, None, :length] == codes[None, :, :length]).all(axis=2)
        same_piece = pieces[:, None, length - 1] == pieces[None, :, length - 1]
        np.testing.assert_array_equal(same_piece, same_codes)


@pytest.mark.parametrize("n", [0, 4])
def test_groups_longer_than_the_levels_are_refused(n: int) -> None:
    with pytest.raises(sid.ConfigError, match=f"n must lie between 1 and the 3 levels, got {n}"):
        sid.NgramTokenizer(sid.CodeSpace(3, 8), n)


@pytest.mark.parametrize("num_rows", [1, 0, -5])
def test_too_few_rows_are_refused(num_rows: int) -> None:
    with pytest.raises(sid.ConfigError, match=f"num_rows must be at least 2, .*got {num_rows}"):
        sid.PrefixTokenizer(sid.CodeSpace(3, 8), num_rows)


def test_a_direct_table_beyond_int32_is_refused() -> None:
    space = sid.CodeSpace(4, 256)
    with pytest.raises(sid.ConfigError, match="would need 4311810305 rows; give num_rows to hash into fewer"):
        sid.PrefixTokenizer(space)
    assert sid.PrefixTokenizer(space, 4096).num_rows == 4096


def test_overlapping_groups_by_hand() -> None:
    tokenizer = sid.NgramTokenizer(sid.CodeSpace(3, 4), n=2, overlapping=True)
    assert tokenizer.groups() == [range(0, 2), range(1, 3)]
    # 1 + 4 * first + second, and 16 rows behind those.
    assert tokenizer.encode(np.array([[1, 2, 3], [0, 0, 0]])).tolist() == [[7, 28], [1, 17]]
    assert tokenizer.num_rows == 33


@given(hashed())
def test_groups_apart_have_equal_parts_of_the_table(drawn: tuple[sid.Tokenizer, np.ndarray]) -> None:
    space, codes = drawn[0].code_space, drawn[1]
    tokenizer = sid.PrefixTokenizer(space, num_rows=1 + 5 * space.num_levels, apart=True)
    pieces = tokenizer.encode(codes)
    np.testing.assert_array_equal(
        (pieces - 1) // 5, np.broadcast_to(np.arange(space.num_levels), codes.shape)
    )
    for place, levels in enumerate(tokenizer.groups()):
        expected = [hash_in_whole_numbers([int(row[i]) for i in levels], place, 6) for row in codes]
        np.testing.assert_array_equal(pieces[:, place] - 5 * place, expected)


def test_groups_apart_need_a_row_each() -> None:
    with pytest.raises(sid.ConfigError, match=r"num_rows must be at least 4, padding and 3 more, got 3\."):
        sid.PrefixTokenizer(sid.CodeSpace(3, 4), num_rows=3, apart=True)
