"""Version folders as TensorFlow Serving watches them: <root>/1, <root>/2, ..., the highest is served.

A version is written beside the others under a name that the server passes over, then renamed once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import semid_tf as sid
from serving.origins import require_chain

KIND = "export"
_NUMBER = re.compile("0|[1-9][0-9]*", re.ASCII)
_LARGEST = (1 << 63) - 1  # the protocols' versions are int64
_MANIFEST = "manifest.json"
_PACKAGES = ("semid-tf", "tensorflow", "tensorflow-text")


def publish_export(
    root: str | Path,
    fill: Callable[[Path], Mapping[str, Any]],
    parents: Sequence[sid.Artifact],
    config: Mapping[str, Any],
) -> sid.Artifact:
    """Publishes the next version.

    Args:
        root: the model's base path; made if it is missing.
        fill: writes the SavedModel into a staging folder, checks it and returns figures for the manifest;
            if it raises, nothing is published.
        parents: what the export was made from: ranker, tokenizer, codes, quantizer.
        config: settings for the manifest.

    Raises:
        ProvenanceError: the parents were not made from each other.
        ArtifactError: another process published the same version meanwhile.
    """
    require_chain(parents)
    with sid.staging(root) as folder:
        metrics = dict(fill(folder))
        manifest = sid.Manifest(
            KIND,
            sid.fingerprint(*_contents(folder)),
            _inputs(parents, config),
            _origins(parents),
            dict(config),
            metrics,
            {name: metadata.version(name) for name in _PACKAGES},
        )
        return sid.publish(folder, Path(root) / str(next_version(root)), manifest)


def find_export(
    root: str | Path, parents: Sequence[sid.Artifact], config: Mapping[str, Any]
) -> sid.Artifact | None:
    """The newest version made from exactly these parents and settings, if there is one."""
    wanted = _inputs(parents, config)
    for version in reversed(versions(root)):
        artifact = sid.open_artifact(Path(root) / str(version), KIND)
        if artifact.manifest.inputs == wanted:
            return artifact
    return None


def why_anew(root: str | Path, parents: Sequence[sid.Artifact], config: Mapping[str, Any]) -> str:
    """The first thing in which the newest version is not what would be made, in one line; "" = none."""
    if not (numbers := versions(root)):
        return ""
    newest = sid.open_artifact(Path(root) / str(numbers[-1]), KIND)
    manifest = newest.manifest
    wanted = _flat(_origins(parents), config, metadata.version("semid-tf"))
    made = _flat(manifest.parents, manifest.config, manifest.versions.get("semid-tf"))
    for name, value in wanted.items():
        if name not in made:
            return f"{newest.path} has no {name}"
        if made[name] != value:
            return f"{newest.path} has {name} {made[name]}, not {value}"
    return ""


def _flat(origins: Mapping[str, str], config: Mapping[str, Any], package: str | None) -> dict[str, Any]:
    """Names of all that makes an export what it is, those of tables in the settings as `table.name`."""
    flat: dict[str, Any] = {**origins, "semid-tf": package}
    for name, value in config.items():
        table = isinstance(value, Mapping)
        flat |= {f"{name}.{key}": one for key, one in value.items()} if table else {name: value}
    return flat


def versions(root: str | Path) -> list[int]:
    """Numbers of the versions in a model's base path, ascending."""
    names = [path.name for path in Path(root).glob("*") if _NUMBER.fullmatch(path.name) and path.is_dir()]
    return sorted(number for number in map(int, names) if number <= _LARGEST)


def next_version(root: str | Path) -> int:
    """The number after the highest, 1 in an empty folder."""
    return max(versions(root), default=0) + 1


def _origins(parents: Sequence[sid.Artifact]) -> dict[str, str]:
    return {parent.manifest.kind: parent.fingerprint for parent in parents}


def _inputs(parents: Sequence[sid.Artifact], config: Mapping[str, Any]) -> str:
    return sid.fingerprint(KIND, dict(config), _origins(parents), metadata.version("semid-tf"))


def _contents(folder: Path) -> Iterator[str | Path]:
    """Name and content of each file but the manifest, which comes last."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _MANIFEST):
        yield path.relative_to(folder).as_posix()
        yield path


def require_unchanged(folder: Path) -> None:
    """Checks the content of a published version against its manifest; a folder without one passes.

    Raises:
        ArtifactError: a file was changed, cut off, added or lost since it was published.
    """
    if not (folder / _MANIFEST).is_file():
        return
    manifest = sid.read_manifest(folder)
    if manifest.kind == KIND and sid.fingerprint(*_contents(folder)) != manifest.fingerprint:
        raise sid.ArtifactError(f"{folder} is not what was published; publish it anew.")
