"""Items that a user never touched, where there are just enough of them, and where there are not."""

from __future__ import annotations

import numpy as np
import pytest

import semid_tf as sid

TOUCHED = sid.Sequences(np.array([1, 2, 2, 4, 5], np.int32), np.array([0, 3, 5]))  # of six items


def test_all_that_is_left_is_drawn() -> None:
    drawn = sid.draw_unseen(TOUCHED, np.array([0, 1]), 6, 4, seed=1)
    assert [sorted(items) for items in drawn.tolist()] == [[3, 4, 5, 6], [1, 2, 3, 6]]


def test_more_than_a_user_left_untouched_is_refused() -> None:
    with pytest.raises(sid.DataError, match="user 1 left 4 of the 6 items untouched, 5 are to be drawn"):
        sid.draw_unseen(TOUCHED, np.array([1]), 6, 5, seed=1)
