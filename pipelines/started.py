"""A job that nobody waits for: what has to be known of it when it is done."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import NamedTuple

from apache_beam.io.filesystems import FileSystems

import semid_tf as sid
from pipelines.publishing import write_json

_NAME = "started.json"


class Started(NamedTuple):
    """An encode job that was handed to a runner.

    Attributes:
        items: path or pattern of the item files.
        quantizer: folder of the quantizer.
        folder: that the job fills.
        num_shards: of each table.
        rows: of the input.
        max_rejected_rate: share of the items that may be rejected.
        encoded_at: when the job began, in ISO 8601.
    """

    items: str
    quantizer: str
    folder: str
    num_shards: int
    rows: int
    max_rejected_rate: float
    encoded_at: str

    @property
    def begun(self) -> datetime:
        """When the job began."""
        return datetime.fromisoformat(self.encoded_at)

    @property
    def seconds(self) -> float:
        """Since then."""
        return round((datetime.now(UTC) - self.begun).total_seconds(), 3)

    def save(self) -> None:
        """Keeps it in the folder."""
        write_json(self.folder, _NAME, self._asdict())

    @classmethod
    def load(cls, folder: str) -> Started:
        """What was saved in a folder.

        Raises:
            ArtifactError: nothing was.
        """
        path = FileSystems.join(folder, _NAME)
        if not FileSystems.exists(path):
            raise sid.ArtifactError(f"{path} is missing; name the output of a job that was started.")
        with FileSystems.open(path) as file:
            return cls(**json.loads(file.read()))
