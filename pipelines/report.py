"""What a finished job says of itself, counted from the files that it wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.io.filesystems import FileSystems

import semid_tf as sid
from pipelines.ahead import ahead
from pipelines.content import row_hashes
from pipelines.schema import CODES, ENCODED_AT, REASON, one_array
from pipelines.sinks import part_path
from pipelines.sources import open_parquet
from pipelines.validation import REASONS


def read_parts(folder: str, num_parts: int, columns: list[str]) -> Iterator[pa.Table]:
    """The parts of a table, one after the other."""
    for part in range(num_parts):
        with open_parquet(part_path(folder, part, num_parts)) as parquet:
            yield parquet.read(columns)


def describe_codes(folder: str, num_parts: int, space: sid.CodeSpace, encoded_at: datetime) -> dict[str, Any]:
    """Figures over all written codes: `encoded` (at this time), `unchanged` (the others), `levels`,
    `code_usage` (share of the codes in use, one a level), `unique_rate` (different Semantic IDs an item, told
    apart by 64 bits; 0 without items).

    Raises:
        CodesError: a code is out of range.
    """
    counts = np.zeros((space.num_levels, space.largest), np.int64)
    hashes: list[np.ndarray] = []
    encoded = 0
    for part in ahead(read_parts(folder, num_parts, [CODES, ENCODED_AT])):
        encoded += pc.sum(pc.equal(part.column(ENCODED_AT), encoded_at)).as_py() or 0
        codes = one_array(part.column(CODES)).flatten().to_numpy().reshape(-1, space.num_levels)
        sid.require_codes(codes, space)
        counts += sid.code_counts(codes, space)
        hashes.append(row_hashes(codes))
    items = int(counts[0].sum())
    return {
        "encoded": encoded,
        "unchanged": items - encoded,
        "levels": space.num_levels,
        "code_usage": ((counts > 0).sum(axis=1) / space.codebook_sizes).tolist(),
        "unique_rate": _count_different(np.concatenate(hashes)) / items if items else 0.0,
    }


def _count_different(hashes: np.ndarray) -> int:
    hashes.sort()
    return int(np.count_nonzero(hashes[1:] != hashes[:-1])) + 1


def count_rejected(folder: str, num_parts: int) -> dict[str, int]:
    """Rejected items for each reason, those without any included."""
    counts: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
    for part in read_parts(folder, num_parts, [REASON]):
        for count in part.column(REASON).value_counts().to_pylist():
            counts[count["values"]] += count["counts"]
    return dict(counts)


def make_report(
    folder: str, num_parts: int, rows: int, quantizer: sid.SavedQuantizer, encoded_at: datetime
) -> dict[str, Any]:
    """The report of an output folder.

    Args:
        folder: with `codes` and `rejected`.
        num_parts: of each.
        rows: of the input, counted before the job.
        quantizer: that made the codes.
        encoded_at: when the job began; rows of another time were carried over.

    Raises:
        DataError: the doors do not add up to the input, or every item was rejected.
    """
    rejected = count_rejected(FileSystems.join(folder, "rejected"), num_parts)
    codes = describe_codes(FileSystems.join(folder, "codes"), num_parts, quantizer.code_space, encoded_at)
    _check_sum(rows, codes["encoded"], codes["unchanged"], rejected)
    return {
        "input": rows,
        "encoded": codes.pop("encoded"),
        "unchanged": codes.pop("unchanged"),
        "rejected": sum(rejected.values()),
        "rejected_by_reason": rejected,
        **codes,
        "quantizer": quantizer.fingerprint,
    }


def _check_sum(rows: int, encoded: int, unchanged: int, rejected: dict[str, int]) -> None:
    if rows != encoded + unchanged + sum(rejected.values()):
        raise sid.DataError(
            f"{rows} items came in, but {encoded} encoded, {unchanged} unchanged and "
            f"{sum(rejected.values())} rejected came out; the item files must not change while the job runs."
        )
    if not encoded + unchanged:
        raise sid.DataError(
            f"all {rows} items were rejected ({_reasons(rejected)}); at least one must be valid."
        )


def check_rejected_rate(report: dict[str, Any], most: float) -> None:
    """Refuses an output of which too much was rejected.

    Raises:
        DataError: `rejected` is more than this share of `input`.
    """
    rejected, rows = report["rejected"], report["input"]
    if rejected / rows > most:
        raise sid.DataError(
            f"{rejected} of {rows} items were rejected ({_reasons(report['rejected_by_reason'])}), more than "
            f"max_rejected_rate {most:g} allows; mend the items, or allow more."
        )


def _reasons(rejected: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in rejected.items() if count)
