"""Where the real data lies, and small tables on disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def amazon_beauty() -> Path:
    """Folder of the Amazon Beauty tables; skips where it is not at hand."""
    root = Path(os.environ.get("SEMID_TEST_DATA", CHECKOUT.parent / "shared" / "data"))
    folder = root / "amazon_beauty"
    if not folder.is_dir():
        pytest.skip(f"no Amazon Beauty data in {root}; set SEMID_TEST_DATA to the folder that holds it")
    return folder


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    """Writes columns as a Parquet file and gives its path."""

    def write(name: str = "table.parquet", **columns: object) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
        return str(path)

    return write
