"""Hashes found among others, as a dict would find them."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.sorted_hashes import SortedHashes


@pytest.mark.parametrize("count", [0, 1, 2, 1000, 65_536])
@pytest.mark.parametrize("spread", [2**64 - 1, 3000, 1])
def test_places_are_those_of_a_dict(count: int, spread: int) -> None:
    random = np.random.default_rng(count)
    hashes = np.sort(random.integers(0, spread, count, np.uint64, endpoint=True))
    asked = np.concatenate([hashes[::3], random.integers(0, spread, 500, np.uint64, endpoint=True)])
    asked = random.permutation(np.append(asked, np.array([0, 2**64 - 1], np.uint64)))
    first: dict[int, int] = {}
    for place, value in enumerate(hashes.tolist()):
        first.setdefault(value, place)
    assert SortedHashes(hashes).places(asked).tolist() == [first.get(value, -1) for value in asked.tolist()]
