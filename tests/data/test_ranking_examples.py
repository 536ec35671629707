"""From interactions to splits: by hand in a small world, by law in a larger one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from semid_tf.config import DataConfig
from semid_tf.data import (
    Examples,
    Interactions,
    Splits,
    index_users,
    item_indices,
    ranking_examples,
    synthetic_interactions,
    synthetic_items,
)
from semid_tf.errors import ArtifactError, DataError

CONFIG = DataConfig(items="items", interactions="interactions", max_train_positives=0, history_length=3)
ITEM_IDS = np.array(["a", "b", "c", "d", "e"], object)


def config(**settings) -> DataConfig:
    return dataclasses.replace(CONFIG, **settings)


def small_world(labels=None) -> Interactions:
    """Rows out of order; u shops twice at once at time 3; e is first met in the test period."""
    rows = [("u", "e", 9), ("u", "a", 1), ("v", "b", 2), ("u", "b", 3), ("u", "c", 3), ("v", "d", 4)]
    users, items, times = zip(*rows, strict=True)
    return Interactions(np.array(users, object), np.array(items, object), np.array(times), labels)


def joined(splits: Splits) -> dict[int, list[int]]:
    """Positive -> history, over the training period."""
    parts = (splits.train, splits.validation)
    return {int(p.candidates[row, 0]): p.history[row].tolist() for p in parts for row in range(len(p))}


@pytest.fixture(scope="module")
def world():
    items = synthetic_items(200, 8, seed=1)
    return items, synthetic_interactions(items, 60, 40, seed=2)


@pytest.fixture(scope="module")
def splits(world):
    items, interactions = world
    return ranking_examples(items.item_ids, interactions, config(num_windows=10))


def parts(splits: Splits) -> tuple[Examples, Examples, Examples]:
    return splits.train, splits.validation, splits.test


def test_small_world_without_labels():
    splits = ranking_examples(ITEM_IDS, small_world(), config(num_windows=1, num_negatives=2))
    assert splits.boundary == 9
    assert splits.item_counts.tolist() == [1, 2, 1, 1, 0]
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (4, 1, 1)
    assert splits.test.candidates.tolist() == [[5, 0, 0]]
    assert splits.test.weights.tolist() == [[1, 0, 0]]
    assert splits.test.labels.tolist() == [[1, 0, 0]]
    assert splits.test.history.tolist() == [[1, 2, 3]]
    # Item b is the positive of two events, both with the history of their user alone.
    assert joined(splits) == {1: [0, 0, 0], 3: [0, 0, 1], 4: [0, 0, 2], 2: joined(splits)[2]}
    assert joined(splits)[2] in ([0, 0, 1], [0, 0, 0])


def test_small_world_with_labels():
    labels = np.array([1, 0, 1, 1, 0, 1], np.float32)
    splits = ranking_examples(ITEM_IDS, small_world(labels), config(num_windows=1))
    assert splits.item_counts.tolist() == [1, 2, 1, 1, 0]
    assert splits.test.candidates.tolist() == [[5]]
    assert splits.test.labels.tolist() == [[1]]
    assert splits.test.history.tolist() == [[0, 0, 2]]
    both = [
        (int(p.candidates[i, 0]), float(p.labels[i, 0])) for p in parts(splits)[:2] for i in range(len(p))
    ]
    assert sorted(both) == [(1, 0), (2, 1), (2, 1), (3, 0), (4, 1)]
    assert all((part.weights == 1).all() for part in parts(splits))


def test_the_parts_are_the_events_each_once(world, splits):
    items, interactions = world
    positives = np.concatenate([part.candidates[:, 0] for part in parts(splits)])
    users = np.concatenate([part.users for part in parts(splits)])
    expected = zip(
        index_users(interactions).indices, item_indices(items.item_ids, interactions.item_ids), strict=True
    )
    assert sorted(zip(users, positives, strict=True)) == sorted(expected)
    before = interactions.timestamps < splits.boundary
    assert len(splits.test) == np.count_nonzero(~before)
    assert len(splits.validation) == round(0.05 * np.count_nonzero(before))
    assert abs(before.mean() - 0.8) < 0.001


def test_shapes_types_and_ranges(world, splits):
    for part in parts(splits):
        assert part.users.dtype == part.history.dtype == part.candidates.dtype == np.int32
        assert part.labels.dtype == part.weights.dtype == np.float32
        assert part.history.shape == (len(part), 3)
        assert part.candidates.shape == part.labels.shape == part.weights.shape == (len(part), 5)
        assert (part.labels == np.eye(5, dtype=np.float32)[0]).all()
        assert ((part.candidates == 0) == (part.weights == 0)).all()
        assert part.history.max() <= part.candidates.max() <= len(world[0])
        padded = part.history == 0
        assert (padded[:, :-1] >= padded[:, 1:]).all()


def test_item_counts_are_those_of_the_training_period(world, splits):
    items, interactions = world
    names, counts = np.unique(
        interactions.item_ids[interactions.timestamps < splits.boundary].astype(str), return_counts=True
    )
    expected = dict(zip(names, counts, strict=True))
    assert splits.item_counts.dtype == np.int64
    assert splits.item_counts.tolist() == [expected.get(item, 0) for item in items.item_ids]


def test_training_never_sees_an_item_of_the_test_period(splits):
    cold = np.flatnonzero(splits.item_counts == 0) + 1
    for part in (splits.train, splits.validation):
        assert not np.isin(part.candidates, cold).any()
        assert not np.isin(part.history, cold).any()
    assert np.isin(splits.test.candidates[:, 0], cold).any()
    assert np.isin(splits.test.candidates[:, 1:], cold).any()
    assert np.isin(splits.test.history, cold).any()


def test_test_negatives_come_from_the_test_period(world, splits):
    items, interactions = world
    late = interactions.item_ids[interactions.timestamps >= splits.boundary]
    drawn = splits.test.candidates[splits.test.candidates > 0]
    assert set(drawn) <= set(item_indices(items.item_ids, late))


def test_the_order_of_the_rows_does_not_matter_without_ties(world, splits):
    items, interactions = world
    assert len(np.unique(interactions.timestamps)) == len(interactions)
    order = np.random.default_rng(0).permutation(len(interactions))
    shuffled = ranking_examples(items.item_ids, interactions.take(order), config(num_windows=10))
    for one, other in zip(parts(splits), parts(shuffled), strict=True):
        np.testing.assert_array_equal(one.history, other.history)
        np.testing.assert_array_equal(one.candidates, other.candidates)


def test_limits_and_seed(world):
    items, interactions = world
    few = config(max_train_positives=100, max_test_positives=30, num_windows=10)
    one, same, other = (
        ranking_examples(items.item_ids, interactions, dataclasses.replace(few, seed=seed))
        for seed in (0, 0, 1)
    )
    assert (len(one.train), len(one.validation), len(one.test)) == (95, 5, 30)
    for part, again, different in zip(parts(one), parts(same), parts(other), strict=True):
        for field in dataclasses.fields(Examples):
            np.testing.assert_array_equal(getattr(part, field.name), getattr(again, field.name))
        assert (part.candidates != different.candidates).any()
    assert one.item_counts.sum() > 100


def test_saved_splits_load_equal_and_write_equal_bytes(splits, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        splits.save(tmp_path / folder)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    loaded = Splits.load(tmp_path / "one")
    assert loaded.boundary == splits.boundary
    np.testing.assert_array_equal(loaded.item_counts, splits.item_counts)
    for part, again in zip(parts(splits), parts(loaded), strict=True):
        assert again.context == part.context == {}
        for field in dataclasses.fields(Examples)[:-1]:
            found, expected = getattr(again, field.name), getattr(part, field.name)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


def test_a_context_is_taken_saved_and_loaded_with_its_examples(splits, tmp_path):
    context = {"age": np.float32([3, np.nan, 5]), "device": np.array(["phone", "", "ß🧀"], object)}
    told = dataclasses.replace(splits.test.take(slice(3)), context=context, timestamps=None)
    told.take(np.array([2, 0])).save(tmp_path / "told.npz")
    again = Examples.load(tmp_path / "told.npz")
    assert again.timestamps is None
    assert again.users.tolist() == splits.test.users[[2, 0]].tolist()
    assert again.context["age"].tolist() == [5, 3]
    assert again.context["device"].tolist() == ["ß🧀", "phone"]


def test_timestamps_are_those_of_the_events(world, splits):
    items, interactions = world
    users, indices = index_users(interactions).indices, item_indices(items.item_ids, interactions.item_ids)
    known = set(zip(users, indices, interactions.timestamps, strict=True))
    for part in parts(splits):
        assert part.timestamps.dtype == np.int64
        assert known.issuperset(zip(part.users, part.candidates[:, 0], part.timestamps, strict=True))
    assert (np.diff(splits.test.timestamps) >= 0).all() and splits.test.timestamps[0] >= splits.boundary
    labels = np.array([1, 0, 1, 1, 0, 1], np.float32)
    assert ranking_examples(ITEM_IDS, small_world(labels), CONFIG).test.timestamps.tolist() == [9]


def test_damaged_files_are_told(splits, tmp_path):
    with pytest.raises(ArtifactError, match=r"training_period\.npz is missing; prepare the data anew\."):
        Splits.load(tmp_path)
    splits.save(tmp_path)
    (tmp_path / "test.npz").write_bytes((tmp_path / "test.npz").read_bytes()[:200])
    with pytest.raises(ArtifactError, match=r"test\.npz holds no users, .*; prepare the data anew\."):
        Splits.load(tmp_path)
    np.savez(tmp_path / "test.npz", users=np.zeros(1))
    with pytest.raises(ArtifactError, match=r"test\.npz holds no users, "):
        Splits.load(tmp_path)


def test_an_unknown_item_is_refused():
    with pytest.raises(DataError, match="interaction 0 names item 'e', which is not in the item table; drop"):
        ranking_examples(ITEM_IDS[:4], small_world(), CONFIG)


def test_too_few_events_are_refused():
    two = small_world().take(np.array([0, 1]))
    with pytest.raises(
        DataError, match="the training period has 1 interaction; training and validation need"
    ):
        ranking_examples(ITEM_IDS, two, CONFIG)
