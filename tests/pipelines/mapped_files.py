"""A Beam file system `mapped://` over a local folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from apache_beam.io.filesystem import FileMetadata, FileSystem
from apache_beam.io.localfilesystem import LocalFileSystem
from apache_beam.options.pipeline_options import PipelineOptions

SCHEME = "mapped"
_PREFIX = f"{SCHEME}://"


class MappedFiles(FileSystem):
    """Everything under `root`; like an object store, it renames files one by one and knows no folders.

    As with S3 and HDFS, nothing works without Beam's options.
    """

    root: ClassVar[Path]

    def __init__(self, pipeline_options: Any) -> None:
        if not isinstance(pipeline_options, PipelineOptions):
            raise ValueError("pipeline_options is not set")
        super().__init__(pipeline_options)
        self._local = LocalFileSystem(pipeline_options)

    @classmethod
    def scheme(cls) -> str:
        return SCHEME

    def _path(self, url: str) -> str:
        assert url.startswith(_PREFIX), url
        return str(self.root / url.removeprefix(_PREFIX))

    def _url(self, path: str) -> str:
        return _PREFIX + str(Path(path).relative_to(self.root))

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path: str) -> None:
        """Folders come with their files."""

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        base = Path(self._path(dir_or_prefix))
        for path in sorted(base.parent.rglob("*") if not base.is_dir() else base.rglob("*")):
            if path.is_file():
                yield FileMetadata(self._url(str(path)), path.stat().st_size, path.stat().st_mtime)

    def create(self, path: str, *arguments: Any, **more: Any) -> Any:
        Path(self._path(path)).parent.mkdir(parents=True, exist_ok=True)
        return self._local.create(self._path(path), *arguments, **more)

    def open(self, path: str, *arguments: Any, **more: Any) -> Any:
        return self._local.open(self._path(path), *arguments, **more)

    def copy(self, sources: list[str], targets: list[str]) -> None:
        self._local.copy([*map(self._path, sources)], [*map(self._path, targets)])

    def rename(self, sources: list[str], targets: list[str]) -> None:
        assert all(Path(self._path(source)).is_file() for source in sources)
        self._local.rename([*map(self._path, sources)], [*map(self._path, targets)])

    def exists(self, path: str) -> bool:
        return Path(self._path(path)).is_file()

    def size(self, path: str) -> int:
        return Path(self._path(path)).stat().st_size

    def last_updated(self, path: str) -> float:
        return Path(self._path(path)).stat().st_mtime

    def checksum(self, path: str) -> str:
        return str(self.size(path))

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, self.size(path), self.last_updated(path))

    def delete(self, paths: list[str]) -> None:
        self._local.delete([*map(self._path, paths)])
