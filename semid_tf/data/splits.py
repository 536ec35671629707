"""Time: the boundary between training and test, and windows within which popularity is measured."""

from __future__ import annotations

import numpy as np

from semid_tf.errors import DataError


def split_time(timestamps: np.ndarray, train_share: float) -> int:
    """The time T such that the events before T are nearest to `train_share` of all.

    Events of equal timestamp are never split; of two times equally near, the earlier is taken.

    Args:
        timestamps: int64 [n], in any order.
        train_share: in (0, 1).

    Returns:
        T: events with timestamp < T are for training, the others for testing; neither side is empty.

    Raises:
        DataError: there are fewer than two different timestamps.

    >>> split_time(np.array([1, 2, 2, 2, 3]), 0.5)
    2
    """
    times, counts = np.unique(timestamps, return_counts=True)
    if len(times) < 2:
        raise DataError(
            f"the {len(timestamps)} interactions have {len(times)} different timestamps; "
            "a split by time needs at least 2."
        )
    before = np.cumsum(counts)[:-1]
    return int(times[1:][np.argmin(np.abs(before - train_share * len(timestamps)))])


def time_windows(timestamps: np.ndarray, num_train: int, num_windows: int) -> np.ndarray:
    """Numbers windows of about equally many events in time order.

    A window never crosses the boundary: training and test get windows in proportion to their events, at least
    one each. Events of equal timestamp share a window, so that rows within a tie need no order.

    Args:
        timestamps: int64 [n], ascending; the first `num_train` are the training events.
        num_train: in [1, n - 1].
        num_windows: over the whole time.

    Returns:
        int64 [n], ascending, from 0.

    >>> time_windows(np.array([1, 2, 3, 4, 5, 6, 7, 8]), num_train=6, num_windows=4)
    array([0, 0, 1, 1, 2, 2, 3, 3])
    """
    total = len(timestamps)
    for_train = min(max(round(num_windows * num_train / total), 1), max(num_windows - 1, 1))
    train = _runs(timestamps[:num_train], for_train)
    test = _runs(timestamps[num_train:], max(num_windows - for_train, 1))
    return np.concatenate([train, test + for_train])


def _runs(timestamps: np.ndarray, num_runs: int) -> np.ndarray:
    first_of_tie = np.searchsorted(timestamps, timestamps, side="left")
    return first_of_tie * num_runs // len(timestamps)
