"""How an output becomes visible: whole, or not at all."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

import semid_tf as sid

#: Stands in an output folder when all the rest of it does; holds the fingerprint of the output.
COMPLETED = "COMPLETED"
_MANIFEST = "manifest.json"


def write_text(folder: str | Path, name: str, text: str) -> None:
    """Writes a small file on any Beam file system."""
    with FileSystems.create(FileSystems.join(str(folder), name), "text/plain") as file:
        file.write(text.encode())


def write_json(folder: str | Path, name: str, value: Any) -> None:
    """Writes JSON for people, such as a report."""
    write_text(folder, name, json.dumps(value, indent=2) + "\n")


def refuse_existing(output: str) -> None:
    """Refuses an output folder that is there; elsewhere than on a local disk, one that is completed.

    Raises:
        ArtifactError: it exists.
    """
    if FileSystems.get_scheme(output):
        refuse_completed(output)
    elif FileSystems.exists(output):
        raise _exists(output)


def refuse_completed(output: str) -> None:
    """Refuses an output folder that is complete.

    Raises:
        ArtifactError: it is, or its file system cannot be asked.
    """
    if _is_completed(output):
        raise _exists(output)


def _is_completed(output: str) -> bool:
    try:
        return bool(FileSystems.exists(FileSystems.join(output, COMPLETED)))
    except (BeamIOError, OSError, ValueError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise sid.ArtifactError(
            f"{output}: cannot be reached ({said}); give a path that Beam reaches from here."
        ) from error


def _exists(output: str) -> sid.ArtifactError:
    return sid.ArtifactError(f"{output} exists and is never overwritten; give another output folder.")


@contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """`semid_tf.staging`, for people.

    Raises:
        ArtifactError: nothing may be written there.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        if not os.access(parent, os.W_OK, effective_ids=True):
            raise PermissionError
    except OSError as error:
        raise sid.ArtifactError(f"{parent}: may not be written; give this user the right to.") from error
    with sid.staging(parent) as folder:
        yield folder


def publish_folder(staged: Path, output: Path, manifest: sid.Manifest) -> sid.Artifact:
    """Makes a staged folder visible by one rename; `COMPLETED` and the manifest are its last files.

    Raises:
        ArtifactError: `output` exists.
    """
    write_text(staged, COMPLETED, manifest.fingerprint + "\n")
    return sid.publish(staged, output, manifest)


def complete_remote(output: str, manifest: sid.Manifest) -> None:
    """Writes the manifest and then `COMPLETED` into a folder where nothing can be renamed at once: until that
    file is there, the output is none."""
    write_text(output, _MANIFEST, json.dumps(dataclasses.asdict(manifest), indent=2, default=float) + "\n")
    write_text(output, COMPLETED, manifest.fingerprint + "\n")


def open_output(folder: str, kind: str) -> sid.Artifact:
    """A published output on any Beam file system.

    Raises:
        ArtifactError: it is missing, incomplete or of another kind, or its file system cannot be asked.
    """
    if not FileSystems.get_scheme(folder):
        return sid.open_artifact(folder, kind)
    if not _is_completed(folder):
        raise sid.ArtifactError(f"{folder} is no complete artifact: it has no {COMPLETED}.")
    with FileSystems.open(FileSystems.join(folder, _MANIFEST)) as file:
        manifest = sid.Manifest(**json.loads(file.read()))
    if manifest.kind != kind:
        raise sid.ArtifactError(f"{folder} is a {manifest.kind}, not a {kind}.")
    return sid.Artifact(Path(folder), manifest)
