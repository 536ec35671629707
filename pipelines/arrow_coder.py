"""How Arrow tables travel between workers: as Arrow's own stream format.

Where tables are shuffled, a step of its own makes them bytes (`to_bytes`): Beam codes and decodes elements
several times on the way, which costs nothing for bytes.
"""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pyarrow as pa

# Columns that say the same in every row cost nothing then; what is shuffled may have to be held in memory.
ZSTD = "zstd"


def to_bytes(table: pa.Table, compression: str | None = ZSTD) -> bytes:
    """An Arrow IPC stream; of a slice, only its own rows."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def from_bytes(coded: bytes) -> pa.Table:
    """What `to_bytes` was given."""
    with pa.ipc.open_stream(coded) as reader:
        return reader.read_all()


class ArrowTableCoder(beam.coders.Coder):
    """Codes a `pa.Table` by `to_bytes`."""

    def encode(self, value: pa.Table) -> bytes:
        return to_bytes(value)

    def decode(self, encoded: bytes) -> pa.Table:
        return from_bytes(encoded)

    def estimate_size(self, value: pa.Table) -> int:
        """Bytes, without coding."""
        return int(value.nbytes)

    def to_type_hint(self) -> Any:
        return pa.Table


beam.coders.registry.register_coder(pa.Table, ArrowTableCoder)
