"""The two doors of validation, against plain Python."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.schema import matrix
from pipelines.sources import with_origin
from pipelines.validation import split

DIM = 3
FLOAT32_LIMIT = 3.5e38


def items(item_ids: pa.Array, embeddings: pa.Array, first_row: int = 0) -> pa.Table:
    batch = pa.record_batch({"item_id": item_ids, "embedding": embeddings})
    return with_origin(batch, "items.parquet", first_row)


def fault(item_id: str | None, embedding: list[float | None] | None) -> str | None:
    """The reason by plain Python."""
    if not item_id:
        return "missing_item_id"
    if embedding is None:
        return "missing_embedding"
    if len(embedding) != DIM:
        return "wrong_dimension"
    if any(v is None or not math.isfinite(v) or abs(v) > FLOAT32_LIMIT for v in embedding):
        return "not_finite"
    return None


values = st.one_of(st.none(), st.sampled_from([math.nan, math.inf, -math.inf, 1e39, 0.0, -2.5, 1e38]))
rows = st.tuples(
    st.sampled_from([None, "", "a", "b"]),
    st.one_of(
        st.none(),
        st.lists(st.sampled_from([0.5, -1.0]), max_size=4),
        st.lists(values, min_size=3, max_size=3),
    ),
)


@given(st.lists(rows, max_size=12))
@settings(deadline=None, max_examples=150)
def test_every_row_leaves_by_the_right_door(
    table: list[tuple[str | None, list[float | None] | None]],
) -> None:
    item_ids = pa.array([row[0] for row in table], pa.string())
    embeddings = pa.array([row[1] for row in table], pa.list_(pa.float64()))
    valid, rejected = split(items(item_ids, embeddings, first_row=100), DIM)
    faults = [fault(*row) for row in table]
    assert valid["row"].to_pylist() == [100 + i for i, reason in enumerate(faults) if reason is None]
    assert valid["embedding"].to_pylist() == [
        [np.float32(v) for v in row[1]] for row, reason in zip(table, faults, strict=True) if reason is None
    ]
    assert rejected.to_pylist() == [
        {"item_id": table[i][0], "reason": reason, "source": "items.parquet", "row": 100 + i}
        for i, reason in enumerate(faults)
        if reason is not None
    ]


@pytest.mark.parametrize("values", [pa.float16(), pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize("lists", ["list", "large_list", "fixed_size_list"])
def test_every_embedding_type_gives_float32(values: pa.DataType, lists: str) -> None:
    kind = {
        "list": pa.list_(values),
        "large_list": pa.large_list(values),
        "fixed_size_list": pa.list_(values, DIM),
    }
    vectors = [[1.0, 2.0, 3.0], None, [0.5, math.inf, 0.0], [-4.0, 0.0, 0.25]]
    table = items(pa.array(["a", "b", "c", "d"]), pa.array(vectors, kind[lists]))
    valid, rejected = split(table, DIM)
    codes = matrix(valid["embedding"])
    assert codes.dtype == np.float32
    assert codes.tolist() == [vectors[0], vectors[3]]
    assert rejected["reason"].to_pylist() == ["missing_embedding", "not_finite"]


def test_a_slice_of_a_batch_keeps_its_own_rows() -> None:
    vectors = pa.array([[float(i)] * DIM for i in range(10)], pa.list_(pa.float32(), DIM)).slice(4, 3)
    valid, _ = split(items(pa.array(["a", "b", "c"]), vectors), DIM)
    assert matrix(valid["embedding"])[:, 0].tolist() == [4.0, 5.0, 6.0]


@pytest.mark.parametrize(
    "kind", [pa.int32(), pa.uint64(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
)
def test_item_ids_become_strings(kind: pa.DataType) -> None:
    item_ids = pa.array(["7", None, "19"]).cast(kind)
    valid, rejected = split(items(item_ids, pa.array([[0.0] * DIM] * 3)), DIM)
    assert valid["item_id"].type == pa.string()
    assert valid["item_id"].to_pylist() == ["7", "19"]
    assert rejected["reason"].to_pylist() == ["missing_item_id"]
