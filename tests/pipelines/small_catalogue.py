"""A published catalogue of codes, and interactions with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from small_quantizer import embeddings, numpy_codes

import semid_tf as sid
from pipelines.encode import publish_corpus

ITEMS = 60


def vectors(count: int = ITEMS) -> np.ndarray:
    """Embeddings of which some are equal, so that their items share a Semantic ID."""
    return embeddings(count, seed=21)[np.arange(count) % (count - count // 4)]


def item_ids(count: int = ITEMS) -> list[str]:
    """Names of the items."""
    return [f"item-{i}" for i in range(count)]


def codes_by_item(count: int = ITEMS) -> dict[str, list[int]]:
    """What the small quantizer says of them, by NumPy."""
    return dict(zip(item_ids(count), numpy_codes(vectors(count)).tolist(), strict=True))


def publish_codes(quantizer: Path, folder: Path, num_shards: int = 3, count: int = ITEMS) -> Path:
    """Encodes the items."""
    return publish_codes_of(item_ids(count), vectors(count), quantizer, folder, num_shards)


def publish_codes_of(
    names: list[str], embeddings: np.ndarray, quantizer: Path, folder: Path, num_shards: int
) -> Path:
    """Encodes any items."""
    table = pa.table({"item_id": names, "embedding": embeddings.tolist()})
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "items.parquet")
    return publish_corpus(
        str(folder / "items.parquet"), quantizer, folder / "codes", num_shards=num_shards
    ).path


def events(count: int, seed: int = 0, labels: bool = True) -> sid.Interactions:
    """Random interactions with ties in time; one in twenty with an item that nobody knows."""
    rng = np.random.default_rng(seed)
    chosen = np.minimum(rng.zipf(1.3, count) - 1, ITEMS - 1)
    names = np.where(rng.random(count) < 0.05, "unknown", np.array(item_ids(), object)[chosen])
    return sid.Interactions(
        np.array([f"user-{i}" for i in rng.integers(0, 12, count)], object),
        names.astype(object),
        rng.integers(0, count // 3, count),
        rng.integers(0, 2, count).astype(np.float32) if labels else None,
        rng.integers(0, 3, count),
    )


def write_events(interactions: sid.Interactions, folder: Path, files: int = 2) -> str:
    """Writes interactions as several Parquet files; gives their pattern."""
    columns = {"user_id": interactions.user_ids, "item_id": interactions.item_ids}
    columns |= {"timestamp": interactions.timestamps, "position": interactions.positions}
    if interactions.labels is not None:
        columns["label"] = interactions.labels
    table = pa.table(columns)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        rows = pa.array(np.arange(number, len(table), files))
        pq.write_table(table.take(rows), folder / f"events-{number}.parquet", row_group_size=50)
    return str(folder / "events-*.parquet")
