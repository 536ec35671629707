"""Trained things on disk: each a folder with a manifest, published whole or not at all.

    <root>/<kind>/<fingerprint>/
        ...              the files of the artifact
        manifest.json    what it is, what it was made from, with which settings and versions

`inputs` identifies what an artifact was made from (settings, parents, code generation), so that a step
whose inputs have not changed is not run again. `fingerprint` identifies what came out; children carry
their parents' fingerprints, and whatever meets a foreign one refuses it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from semid_tf.errors import ArtifactError, ProvenanceError

MANIFEST = "manifest.json"
FINGERPRINT_LENGTH = 16
_STAGING = re.compile(r"\.staging-(\d+)-(?:([0-9a-f]{8})-)?")
_FORGOTTEN_S = 30 * 24 * 3600
_PACKAGES = ("semid-tf", "tensorflow", "tf-keras", "sentencepiece", "apache-beam", "numpy")


def fingerprint(*parts: Any) -> str:
    """Sixteen hexadecimal digits that stand for the parts: arrays, bytes, paths, functions that open a binary
    file, or JSON values.

    >>> fingerprint({"b": 1, "a": 2}) == fingerprint({"a": 2, "b": 1})
    True
    >>> fingerprint(np.zeros(2, np.float32)) == fingerprint(np.zeros(2, np.float64))
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        content = hashlib.sha256()  # one a part, so that parts do not run into each other
        for chunk in _chunks(part):
            content.update(chunk)
        digest.update(content.digest())
    return digest.hexdigest()[:FINGERPRINT_LENGTH]


def _chunks(part: Any) -> Iterator[bytes]:
    if isinstance(part, (np.ndarray, np.generic)):  # a scalar weight comes as np.float32
        yield f"{part.dtype.str}{part.shape}".encode()
        yield np.ascontiguousarray(part).tobytes()
    elif isinstance(part, bytes):
        yield part
    elif isinstance(part, Path) or callable(part):
        with part.open("rb") if isinstance(part, Path) else part() as file:
            while chunk := file.read(1 << 20):
                yield chunk
    else:
        yield json.dumps(_plain(part), sort_keys=True).encode()


def _plain(value: Any) -> Any:
    return (
        dataclasses.asdict(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type)
        else value
    )


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says.

    Attributes:
        kind: what the artifact is, such as `quantizer`.
        fingerprint: of what came out.
        inputs: of what it was made from.
        parents: kind -> fingerprint of each artifact that it was made from.
        config: the settings.
        metrics: figures measured while it was made.
        versions: packages and their versions.
    """

    kind: str
    fingerprint: str
    inputs: str
    parents: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Artifact:
    """A published folder and its manifest."""

    path: Path
    manifest: Manifest

    @property
    def fingerprint(self) -> str:
        """Identifies the content."""
        return self.manifest.fingerprint

    def require_parent(self, parent: Artifact) -> None:
        """Refuses a parent that this artifact was not made from.

        Raises:
            ProvenanceError: names both fingerprints.
        """
        kind = parent.manifest.kind
        known = self.manifest.parents.get(kind)
        if known != parent.fingerprint:
            raise ProvenanceError(
                f"{self.path} was made with {kind} {known}, but {parent.path} is {kind} "
                f"{parent.fingerprint}; make it anew from that {kind}."
            )


def _origins(parents: tuple[Artifact, ...]) -> dict[str, str]:
    return {parent.manifest.kind: parent.fingerprint for parent in parents}


def installed_versions() -> dict[str, str]:
    """Versions of the packages that an artifact depends on, as far as they are installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def read_manifest(folder: str | Path) -> Manifest:
    """Reads the manifest of an artifact.

    Raises:
        ArtifactError: there is none, or it is no manifest.
    """
    path = Path(folder) / MANIFEST
    try:
        return Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ArtifactError(f"{folder} is no complete artifact: it has no {MANIFEST}.") from error
    except (OSError, ValueError, TypeError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}; make the artifact anew.") from error


def open_artifact(folder: str | Path, kind: str) -> Artifact:
    """Opens a published artifact of a given kind.

    Raises:
        ArtifactError: it is missing, incomplete or of another kind.
    """
    manifest = read_manifest(folder)
    if manifest.kind != kind:
        raise ArtifactError(f"{folder} is a {manifest.kind}, not a {kind}.")
    return Artifact(Path(folder), manifest)


@contextmanager
def staging(parent: str | Path) -> Iterator[Path]:
    """A fresh folder inside `parent` that is removed at the end, unless `publish` moved it away.

    Such folders of this machine's processes that no longer run are removed as well; those of another machine
    or container, whose processes cannot be seen from here, when they are 30 days old.
    """
    parent = Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=f".staging-{os.getpid()}-{_place()}-", dir=parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(".staging-*"):
        match = _STAGING.match(folder.name)
        if match and _is_abandoned(folder, int(match[1]), match[2]):
            shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path, pid: int, place: str | None) -> bool:
    if place == _place():
        return not _is_running(pid)
    with suppress(FileNotFoundError):  # it may be gone by now
        return time.time() - folder.stat().st_mtime > _FORGOTTEN_S
    return False


@cache
def _place() -> str:
    """Where a process id means what it means here: a machine since it was started, or a container on it."""
    known = [socket.gethostname()]
    with suppress(OSError):  # only Linux has these
        known += [Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")]
    return fingerprint(*known)[:8]


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def publish(staged: Path, target: Path, manifest: Manifest) -> Artifact:
    """Writes the manifest last, then makes the whole folder visible by one rename.

    Raises:
        ArtifactError: `target` exists; a published artifact is never overwritten.
    """
    text = json.dumps(dataclasses.asdict(manifest), indent=2, sort_keys=True, default=float)
    with (staged / MANIFEST).open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.rename(staged, target)
    except OSError as error:
        raise ArtifactError(f"{target} exists; a published artifact is never overwritten.") from error
    return Artifact(target, manifest)


@dataclass(frozen=True)
class Made:
    """What a step says of the folder that it filled.

    Attributes:
        fingerprint: of the content.
        metrics: figures for the manifest.
    """

    fingerprint: str
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ArtifactStore:
    """A folder of artifacts, one sub-folder a kind, one folder in it an artifact."""

    root: Path

    def find(self, kind: str, inputs: str) -> Artifact | None:
        """The artifact made from exactly these inputs, if there is one."""
        for path in sorted((self.root / kind).glob(f"[!.]*/{MANIFEST}")):  # staging folders are hidden
            manifest = read_manifest(path.parent)
            if manifest.inputs == inputs:
                return Artifact(path.parent, manifest)
        return None

    @staticmethod
    def inputs(kind: str, config: Any, parents: tuple[Artifact, ...]) -> str:
        """Identifies what an artifact is made from: settings, parents and the version of this package."""
        return fingerprint(kind, config, _origins(parents), metadata.version("semid-tf"))

    def make(
        self, kind: str, config: Any, parents: tuple[Artifact, ...], fill: Callable[[Path], Made]
    ) -> Artifact:
        """Makes an artifact by `fill` in a staging folder, and publishes it."""
        inputs = self.inputs(kind, config, parents)
        with staging(self.root / kind) as folder:
            made = fill(folder)
            manifest = Manifest(
                kind,
                made.fingerprint,
                inputs,
                _origins(parents),
                _plain(config),
                dict(made.metrics),
                installed_versions(),
            )
            return publish(folder, self._free(kind, made.fingerprint), manifest)

    def _free(self, kind: str, name: str) -> Path:
        """A target of that name, numbered where other inputs gave the same content before."""
        target, number = self.root / kind / name, 2
        while target.exists():
            target, number = self.root / kind / f"{name}-{number}", number + 1
        return target
