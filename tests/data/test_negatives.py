"""The law of the negatives: window, user, popularity, seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from semid_tf.data import draw_negatives


def draw(users, items, windows, rows, num_negatives, seed=0):
    arrays = (np.array(users, np.int32), np.array(items, np.int32), np.array(windows), np.array(rows))
    return draw_negatives(*arrays, num_negatives, np.random.default_rng(seed))


EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(1, 8)), min_size=1, max_size=50)


@settings(deadline=None)
@given(EVENTS, st.integers(1, 5), st.integers(0, 99))
def test_only_items_of_the_window_that_the_user_did_not_meet_there(events, num_negatives, seed):
    windows, users, items = (list(column) for column in zip(*sorted(events), strict=True))
    negatives = draw(users, items, windows, range(len(events)), num_negatives, seed)
    assert negatives.items.dtype == np.int32
    assert negatives.weights.dtype == np.float32
    for row, (window, user) in enumerate(zip(windows, users, strict=True)):
        others = {item for w, _, item in events if w == window}
        own = {item for w, u, item in events if (w, u) == (window, user)}
        for item, weight in zip(negatives.items[row], negatives.weights[row], strict=True):
            assert (weight == 1 and item in others - own) or (weight == 0 and item == 0)
        if others == own:
            assert not negatives.weights[row].any()


def test_frequencies_follow_the_popularity_within_the_window():
    # Window 0: user 0 meets item 1; the others meet 2, 3, 4 six, three and one times, and item 1 often.
    # Window 1: item 5 is most popular, but that is another time.
    items = [1] + [2] * 6 + [3] * 3 + [4] + [1] * 5 + [5] * 50
    users = [0] + [1] * 65
    windows = [0] * 16 + [1] * 50
    drawn = draw(users, items, windows, [0] * 20_000, 1)
    found = np.bincount(drawn.items[drawn.weights == 1], minlength=6)
    assert found[[0, 1, 5]].tolist() == [0, 0, 0]
    expected = np.array([0.6, 0.3, 0.1]) * found.sum()
    assert stats.chisquare(found[2:5], expected).pvalue > 0.001
    # Nine draws in a row (one, and eight again) clash with a chance of (6 / 16) ** 9 each.
    assert np.count_nonzero(drawn.weights == 0) <= 20


def test_a_user_may_get_what_he_met_in_another_window():
    drawn = draw([0, 0, 1], [1, 2, 1], [0, 1, 1], [1] * 50, 1)
    assert set(drawn.items[:, 0]) == {1}


def test_a_window_of_one_user_has_no_negative():
    drawn = draw([3, 3], [1, 2], [0, 0], [0, 1], 3)
    assert drawn.items.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert drawn.weights.tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("other", [1, 2])
def test_the_seed_fixes_the_draw(other):
    rng = np.random.default_rng(5)
    users, items, windows = rng.integers(0, 9, 200), rng.integers(1, 40, 200), np.arange(200) // 50
    one, same, different = (draw(users, items, windows, range(200), 4, seed) for seed in (0, 0, other))
    np.testing.assert_array_equal(one.items, same.items)
    assert (one.items != different.items).mean() > 0.5
