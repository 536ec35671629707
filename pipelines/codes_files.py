"""The published codes of a run: their files, and which of them hold the items of a shard."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems

import semid_tf as sid
from pipelines.duplicates import shards_of
from pipelines.publishing import open_output
from pipelines.schema import CODES, CODES_FILE, one_array
from pipelines.sinks import part_path
from pipelines.sources import open_parquet

KIND = "codes"


@dataclass(frozen=True)
class CodesFiles:
    """A published output of `pipelines.encode`, on any Beam file system.

    Attributes:
        folder: of the output.
        paths: of the parts, in their order.
        space: that the codes lie in.
        fingerprint: of the codes.
        parents: kind -> fingerprint; the quantizer.
    """

    folder: str
    paths: tuple[str, ...]
    space: sid.CodeSpace
    fingerprint: str
    parents: tuple[tuple[str, str], ...]

    @classmethod
    def open(cls, folder: str) -> CodesFiles:
        """Opens an output.

        Raises:
            ArtifactError: it is no complete output.
        """
        manifest = open_output(folder, KIND).manifest
        space = sid.CodeSpace(manifest.config["num_levels"], manifest.config["codebook_size"])
        parents = tuple(sorted(manifest.parents.items()))
        return cls(folder, paths_of(folder), space, manifest.fingerprint, parents)

    @property
    def origins(self) -> dict[str, str]:
        """Parents of what is made of these codes: kind -> fingerprint."""
        return {"codes": self.fingerprint, **dict(self.parents)}

    def rows(self, shard: int, num_shards: int, columns: list[str]) -> Iterator[pa.Table]:
        """Some columns of all items that fall into one of several shards; at least an empty table."""
        return rows_of(self.paths, shard, num_shards, columns)


def paths_of(folder: str, table: str = "codes") -> tuple[str, ...]:
    """The files of a table of an output, in the order of their parts.

    Raises:
        ArtifactError: they are not all parts of one run, and no others.
    """
    place = FileSystems.join(folder, table)
    (found,) = FileSystems.match([FileSystems.join(place, "*.parquet")])
    paths = {posixpath.basename(file.path): file.path for file in found.metadata_list}
    names = [posixpath.basename(part_path(place, part, len(paths))) for part in range(len(paths))]
    if paths.keys() != set(names):
        raise sid.ArtifactError(
            f"{place}: its {len(paths)} files are not the parts of one run; encode into a fresh folder."
        )
    return tuple(paths[name] for name in names)


def rows_of(paths: tuple[str, ...], shard: int, num_shards: int, columns: list[str]) -> Iterator[pa.Table]:
    """Some columns, `item_id` among them, of the items that fall into a shard, wherever they lie."""
    yield pa.schema([CODES_FILE.field(name) for name in columns]).empty_table()
    # A hash is shard modulo num_shards and part modulo the number of parts.
    common = math.gcd(len(paths), num_shards)
    for path in paths[shard % common :: common]:
        for rows in read_rows(path, columns):
            if len(paths) != num_shards:
                rows = rows.filter(pa.array(shards_of(rows, num_shards) == shard))
            yield rows


def read_rows(path: str, columns: list[str]) -> Iterator[pa.Table]:
    """Some columns of one codes file."""
    with open_parquet(path) as parquet:
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group, columns)


def codes_of(rows: pa.Table, num_levels: int) -> np.ndarray:
    """The codes of such rows: int32 [n, num_levels]."""
    return one_array(rows[CODES]).flatten().to_numpy().reshape(-1, num_levels)
