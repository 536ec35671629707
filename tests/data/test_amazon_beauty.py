"""Amazon Beauty: known counts, and histories against a loop over the published sequences."""

from __future__ import annotations

import numpy as np
import pytest

from semid_tf.config import DataConfig
from semid_tf.data import (
    drop_unknown,
    index_users,
    item_indices,
    ranking_examples,
    read_interactions,
    read_items,
    read_tables,
    write_tables,
)

CONFIG = DataConfig(items="-", interactions="-", max_train_positives=2_000, max_test_positives=2_000)


@pytest.fixture(scope="module")
def beauty(amazon_beauty):
    return read_items(amazon_beauty / "items.parquet"), read_interactions(
        amazon_beauty / "interactions.parquet"
    )


def test_known_counts(beauty):
    items, interactions = beauty
    assert items.embeddings.shape == (12_101, 384)
    assert len(interactions) == 198_502
    assert len(index_users(interactions).user_ids) == 22_363
    assert drop_unknown(interactions, items.item_ids)[1] == 0


def test_cold_items_of_the_known_boundary(beauty):
    _, interactions = beauty
    boundary = np.datetime64("2014-05-13", "us").astype(np.int64)
    before = interactions.timestamps < boundary
    cold = set(interactions.item_ids[~before]) - set(interactions.item_ids[before])
    assert np.count_nonzero(~before) == 20_147
    assert len(cold) == 142
    assert sum(item in cold for item in interactions.item_ids[~before]) == 3_206


def test_half_precision_becomes_single_without_loss(beauty, amazon_beauty):
    import pyarrow.parquet as pq

    column = pq.read_table(amazon_beauty / "items.parquet").column("embedding")
    row = np.array(column[777].as_py(), np.float16)
    np.testing.assert_array_equal(beauty[0].embeddings[777], row.astype(np.float32))


def test_written_tables_read_back_equal(beauty, tmp_path):
    write_tables(tmp_path, *beauty)
    items, interactions = read_tables(tmp_path)
    assert items.table.equals(beauty[0].table)
    assert interactions.positions.tolist() == beauty[1].positions.tolist()
    assert interactions.timestamps.tolist() == beauty[1].timestamps.tolist()


def test_histories_are_prefixes_of_the_published_sequences(beauty):
    items, interactions = beauty
    indices = item_indices(items.item_ids, interactions.item_ids)
    users = index_users(interactions).indices
    sequences: dict[int, list[int]] = {}
    for row in np.lexsort((interactions.positions, users)):
        sequences.setdefault(int(users[row]), []).append(int(indices[row]))
    splits = ranking_examples(items.item_ids, interactions, CONFIG)
    for part in (splits.train, splits.test):
        for user, history, positive in zip(part.users, part.history, part.candidates[:, 0], strict=True):
            sequence = sequences[int(user)]
            # No one reviewed a product twice, so the positive has one place in the sequence.
            before = sequence[: sequence.index(int(positive))][-CONFIG.history_length :]
            assert history[history > 0].tolist() == before
