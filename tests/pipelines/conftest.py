"""A published quantizer and item files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystems import FileSystems
from small_quantizer import NearestCodewords, publish_quantizer


@pytest.fixture(scope="session")
def quantizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published quantizer."""
    return publish_quantizer(NearestCodewords(), tmp_path_factory.mktemp("quantizer") / "it")


@pytest.fixture(autouse=True)
def fresh_file_systems() -> None:
    """As in a new process: Beam keeps the options of the last pipeline for its file systems."""
    FileSystems.set_options(None)


@pytest.fixture
def write_items(tmp_path: Path) -> Callable[..., str]:
    """Writes `items.parquet` from columns; gives its path."""

    def write(item_id: object, embedding: object, **columns: object) -> str:
        path = tmp_path / "items.parquet"
        pq.write_table(pa.table({"item_id": item_id, "embedding": embedding, **columns}), path)
        return str(path)

    return write
