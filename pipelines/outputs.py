"""Outputs of the jobs: local ones appear whole, others are there once `COMPLETED` is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

import semid_tf as sid
from pipelines.launch import absolute
from pipelines.publishing import complete_remote, publish_folder, refuse_existing, staging
from pipelines.running import reach_files


def new_output(output: str | Path, options: PipelineOptions | None) -> str:
    """The path of an output that is to be made, as every worker understands it.

    Raises:
        ArtifactError: it exists.
    """
    reach_files(options)
    path = absolute(str(output))
    refuse_existing(path)
    return path


@contextmanager
def filling(output: str) -> Iterator[str]:
    """The folder to fill: a staging folder beside a local output, elsewhere the output itself."""
    if FileSystems.get_scheme(output):
        yield output
        return
    with staging(Path(output).parent) as folder:
        yield str(folder)


def make_folder(folder: str, name: str) -> str:
    """A sub-folder for parts.

    Raises:
        ArtifactError: it is there, or there are parts in it, such as a job leaves that failed.
    """
    path = FileSystems.join(folder, name)
    if FileSystems.exists(path) or _has_parts(path):
        raise sid.ArtifactError(f"{path} exists and is never overwritten; give a fresh folder.")
    FileSystems.mkdirs(path)
    return path


def _has_parts(folder: str) -> bool:
    """An object store knows no folders; what a job that died left there must not mix with new parts."""
    (found,) = FileSystems.match([FileSystems.join(folder, "part-*")], [1])
    return bool(found.metadata_list)


def files_of(folder: str) -> list[str]:
    """The files in a folder, by path."""
    (found,) = FileSystems.match([FileSystems.join(folder, "*")])
    return sorted(file.path for file in found.metadata_list)


def fingerprint_of(paths: Sequence[str]) -> str:
    """Of the contents of files."""
    opened = partial(FileSystems.open, compression_type=CompressionTypes.UNCOMPRESSED)
    return sid.fingerprint(*(partial(opened, path) for path in paths))


def put_folder(local: Path, folder: str) -> None:
    """Copies the files of a local folder to any Beam file system."""
    for path in sorted(local.iterdir()):
        with FileSystems.create(FileSystems.join(folder, path.name)) as file:
            file.write(path.read_bytes())


def publish_output(folder: str, output: str, manifest: sid.Manifest) -> sid.Artifact:
    """Makes visible what was filled.

    Raises:
        ArtifactError: `output` exists.
    """
    if folder == output:
        complete_remote(output, manifest)
        return sid.Artifact(Path(output), manifest)
    return publish_folder(Path(folder), Path(output), manifest)
