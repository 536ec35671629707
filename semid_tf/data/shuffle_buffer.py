"""A seeded shuffle that never holds more than so many rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from semid_tf.data.embedding_source import WeightedRows, taken
from semid_tf.errors import ConfigError


class ShuffleBuffer:
    """Rows in waiting, drawn at random.

    Args:
        capacity: it never holds more rows.
        dim: of the embeddings.
        random: what the draws come from.
    """

    def __init__(self, capacity: int, dim: int, random: np.random.Generator) -> None:
        self._rows = WeightedRows(np.empty((capacity, dim), np.float32), np.empty(capacity, np.float32))
        self._random, self.size = random, 0

    @property
    def room(self) -> int:
        """Rows that it still takes."""
        return len(self._rows.weights) - self.size

    def add(self, rows: WeightedRows) -> None:
        """Takes in at most `room` rows."""
        end = self.size + len(rows.weights)
        self._rows.embeddings[self.size : end], self._rows.weights[self.size : end] = rows
        self.size = end

    def draw(self, count: int) -> WeightedRows:
        """Takes out so many rows at random, at most `size`."""
        places = self._random.choice(self.size, count, replace=False)
        drawn = taken(self._rows, places)
        self.size -= count
        self._close_gaps(places)
        return drawn

    def _close_gaps(self, places: np.ndarray) -> None:
        """Moves the rows behind the new end into the places that were drawn before it."""
        behind = np.setdiff1d(np.arange(self.size, self.size + len(places)), places, assume_unique=True)
        gaps = places[places < self.size]
        for array in self._rows:
            array[gaps] = array[behind]


def shuffled_batches(
    blocks: Iterator[WeightedRows], batch_size: int, buffer: ShuffleBuffer
) -> Iterator[WeightedRows]:
    """Random batches of rows that stream by; all of `batch_size` but the last.

    A row is drawn from those in the buffer, so it moves forward at most by the buffer's capacity.

    Raises:
        ConfigError: the buffer is smaller than a batch.
    """
    if buffer.room < batch_size:
        raise ConfigError(f"buffer_rows is {buffer.room}, but a batch has {batch_size}; raise buffer_rows.")
    for block in blocks:
        while len(block.weights) > buffer.room:
            start = buffer.room
            buffer.add(taken(block, slice(start)))
            block = taken(block, slice(start, None))
            yield buffer.draw(batch_size)
        buffer.add(block)
    while buffer.size:
        yield buffer.draw(min(batch_size, buffer.size))
