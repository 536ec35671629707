"""Small folders of other file systems, brought to this machine."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

import semid_tf as sid

T = TypeVar("T")


def near(folder: str) -> str:
    """A folder on any Beam file system as a local one: itself, or a copy made once a process."""
    return _copy(folder) if FileSystems.get_scheme(folder) else folder


def load_near(folder: str, load: Callable[[str], T]) -> T:
    """What is made of such a local folder; errors name the folder that was given."""
    local = near(folder)
    try:
        return load(local)
    except sid.SemidError as error:
        raise type(error)(str(error).replace(local, folder)) from error


@cache
def _copy(folder: str) -> str:
    copy = tempfile.mkdtemp(prefix="nearby-")
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    (found,) = FileSystems.match([FileSystems.join(folder, "**")])
    for file in found.metadata_list:
        target = Path(copy) / file.path.removeprefix(folder).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileSystems.open(file.path, compression_type=CompressionTypes.UNCOMPRESSED) as source:
            with target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
    return copy
