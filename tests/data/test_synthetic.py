"""The made-up world: its seed, its cold slice, and that content tells something there."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from semid_tf.config import DataConfig
from semid_tf.data import ranking_examples, synthetic_interactions, synthetic_items


@pytest.fixture(scope="module")
def world():
    items = synthetic_items(400, 16, seed=0)
    return items, synthetic_interactions(items, 200, 40, seed=0)


def test_items(world):
    items, _ = world
    assert len(items) == 400
    assert items.embeddings.shape == (400, 16)
    np.testing.assert_allclose(np.linalg.norm(items.embeddings, axis=1), 1, atol=1e-6)
    categories = items.table.column("category").to_numpy()
    sizes = np.bincount(categories)
    assert sizes[0] > 2 * sizes[-1]
    assert items.table.column("title")[5].as_py().startswith(f"Category {categories[5]} · ")


def test_embeddings_are_nearer_within_a_category(world):
    items, _ = world
    categories = items.table.column("category").to_numpy()
    same = categories[:, None] == categories
    cosine = items.embeddings @ items.embeddings.T
    assert cosine[same].mean() > cosine[~same].mean() + 0.4


def test_interactions_are_in_time_order_for_each_user(world):
    _, interactions = world
    assert len(interactions) == 8000
    times = interactions.timestamps.reshape(200, 40)
    assert (np.diff(times, axis=1) >= 0).all()
    assert len(set(interactions.user_ids.reshape(200, 40)[7])) == 1


def test_the_seed_fixes_everything(world):
    items, interactions = world
    again = synthetic_items(400, 16, seed=0)
    assert again.table.equals(items.table)
    assert not synthetic_items(400, 16, seed=1).table.equals(items.table)
    same = synthetic_interactions(again, 200, 40, seed=0)
    assert same.item_ids.tolist() == interactions.item_ids.tolist()
    assert same.timestamps.tolist() == interactions.timestamps.tolist()


def test_a_world_of_one_item():
    items = synthetic_items(1, 4, seed=0)
    assert set(synthetic_interactions(items, 2, 3, seed=0).item_ids) == {"item-0"}


def test_content_ranks_cold_items_and_a_random_hash_does_not(world):
    items, interactions = world
    settings = DataConfig(items="-", interactions="-", max_train_positives=0, num_windows=10)
    splits = ranking_examples(items.item_ids, interactions, settings)
    cold = (splits.item_counts[splits.test.candidates - 1] == 0) & (splits.test.weights == 1)
    assert np.count_nonzero(splits.test.labels[cold] == 1) > 100
    hashes = np.random.default_rng(0).standard_normal(items.embeddings.shape)

    def auc(vectors: np.ndarray) -> float:
        table = np.vstack([np.zeros(16), vectors])
        users = table[splits.test.history].mean(axis=1)
        scores = np.einsum("nd,ncd->nc", users, table[splits.test.candidates])
        return roc_auc_score(splits.test.labels[cold], scores[cold])

    assert auc(items.embeddings) > 0.75
    assert 0.4 < auc(hashes) < 0.62
