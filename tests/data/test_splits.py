"""The boundary in time and the windows, against plain counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semid_tf.data import split_time, time_windows
from semid_tf.errors import DataError

TIMES = st.lists(st.integers(0, 12), min_size=2, max_size=60)


@pytest.mark.parametrize(
    ("times", "share", "boundary"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 0.8, 8),
        ([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 0.8, 8),
        ([1, 5, 5, 5, 5], 0.5, 5),
        ([1, 1, 1, 1, 5], 0.5, 5),
        ([1, 2, 2, 2, 2, 2, 3], 0.5, 2),
        ([-4, 7], 0.01, 7),
        ([1, 2, 3], 0.5, 2),
    ],
)
def test_boundary_by_hand(times, share, boundary):
    assert split_time(np.array(times), share) == boundary


@given(TIMES.filter(lambda times: len(set(times)) > 1), st.floats(0.01, 0.99))
def test_no_other_boundary_is_nearer_to_the_share(times, share):
    boundary = split_time(np.array(times), share)

    def distance(time: int) -> float:
        return abs(sum(t < time for t in times) - share * len(times))

    assert 0 < sum(t < boundary for t in times) < len(times)
    assert distance(boundary) == min(distance(time) for time in set(times) if time > min(times))


def test_one_moment_cannot_be_split():
    with pytest.raises(
        DataError, match="the 3 interactions have 1 different timestamps; a split by time needs"
    ):
        split_time(np.array([4, 4, 4]), 0.8)


def test_windows_by_hand():
    times = np.array([1, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    # Eight of ten events are for training: four of five windows, of two events each.
    assert time_windows(times, 8, 5).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    # The tie of 1 stays together although a window would end inside it.
    assert time_windows(np.array([1, 1, 1, 2, 3, 4]), 4, 3).tolist() == [0, 0, 0, 1, 2, 2]
    # One window for all still becomes one for each part.
    assert time_windows(times, 8, 1).tolist() == [0] * 8 + [1] * 2


def test_windows_hold_equally_many_events():
    windows = time_windows(np.arange(10_000), 8_000, 100)
    assert np.bincount(windows).tolist() == [100] * 100


@given(TIMES, st.integers(1, 20), st.data())
def test_windows_never_cross_the_boundary_nor_a_tie(times, num_windows, data):
    ascending = np.sort(times)
    num_train = data.draw(st.integers(1, len(times) - 1))
    windows = time_windows(ascending, num_train, num_windows)
    assert (np.diff(windows) >= 0).all()
    assert windows[num_train - 1] < windows[num_train]
    assert windows[0] == 0
    assert windows[-1] < max(num_windows, 2)
    for part in (slice(num_train), slice(num_train, None)):
        tied = ascending[part][1:] == ascending[part][:-1]
        assert (np.diff(windows[part])[tied] == 0).all()
