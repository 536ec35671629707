"""Which versions are loaded: policies, labels, and the swap to a new version without a failed request.

A new version is loaded and warmed up beside the old one; then one assignment sends new requests to it, while
those under way keep the old one alive until they end. One that cannot be loaded is refused and tried again
only when its files have changed; meanwhile the next lower version serves. A model whose base path has changed
is served from the former one until a version of the new one is loaded.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tensorflow_serving.apis import get_model_status_pb2 as status
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.config import model_server_config_pb2 as configs

from serving.server.refusal import Code, RefusedError, invalid, refusal_of
from serving.server.servable import Servable
from serving.versions import versions

State = status.ModelVersionStatus
_log = logging.getLogger(__name__)


class _Known(NamedTuple):
    """What is known of a version: its state, the error that ended it, and the files that it had then."""

    state: int
    error: RefusedError | None = None
    stamp: tuple = ()


class _Model:
    """One model and its versions."""

    def __init__(self, config: configs.ModelConfig) -> None:
        self.config = config
        self.loaded: dict[int, Servable] = {}
        self.former: dict[int, Servable] = {}  # of another base path, while nothing of this one is loaded
        self.known: dict[int, _Known] = {}

    def serving(self) -> dict[int, Servable]:
        """The versions that answer."""
        return self.loaded or self.former

    def folder(self, version: int) -> Path:
        return Path(self.config.base_path) / str(version)

    def candidates(self) -> list[int]:
        """Versions that the policy allows, the most wanted first."""
        found = versions(self.config.base_path)[::-1]
        policy = self.config.model_version_policy
        if policy.WhichOneof("policy_choice") == "specific":
            return [version for version in found if version in policy.specific.versions]
        return found

    def most(self) -> int:
        """How many of the candidates are to be loaded."""
        policy = self.config.model_version_policy
        if policy.WhichOneof("policy_choice") in ("specific", "all"):
            return len(self.candidates())
        return max(policy.latest.num_versions, 1)

    def failed(self, version: int) -> bool:
        """Whether loading would fail again."""
        known = self.known.get(version)
        return bool(known and known.error and known.stamp == _stamp(self.folder(version)))


class Models:
    """All models of a server."""

    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}
        self._scanning = asyncio.Lock()
        self._loader = ThreadPoolExecutor(1, "loader")

    def known(self, name: str) -> bool:
        """Whether a model of that name is configured."""
        return name in self._models

    def ready(self) -> bool:
        """Whether every model has a version that answers."""
        return all(model.serving() for model in self._models.values())

    def find(self, spec: model_pb2.ModelSpec) -> Servable:
        """The version that a request asks for: by number, by label, or the latest.

        Raises:
            RefusedError: INVALID_ARGUMENT without a name or for an unknown label; NOT_FOUND if not loaded.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        model = self._models.get(spec.name)
        loaded = model.serving() if model else {}
        version = self._version(spec, model)
        if version is None and loaded:
            return loaded[max(loaded)]
        if version in loaded:
            return loaded[version]
        wanted = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
        raise RefusedError(Code.NOT_FOUND, f"Servable not found for request: {wanted}")

    @staticmethod
    def _version(spec: model_pb2.ModelSpec, model: _Model | None) -> int | None:
        if spec.WhichOneof("version_choice") == "version_label":
            if not model or spec.version_label not in model.config.version_labels:
                raise invalid(f"Unrecognized servable version label: {spec.version_label}")
            return model.config.version_labels[spec.version_label]
        return spec.version.value if spec.HasField("version") else None

    def states(self, spec: model_pb2.ModelSpec) -> Iterator[status.ModelVersionStatus]:
        """States of the versions, the latest first.

        Raises:
            RefusedError: NOT_FOUND if nothing is known of the model or version.
        """
        model = self._models.get(spec.name)
        known = dict(sorted(model.known.items(), reverse=True)) if model else {}
        version = self._version(spec, model)
        if version is not None and version not in known:
            raise RefusedError(Code.NOT_FOUND, f"Could not find version {version} of model {spec.name}")
        if not known:
            raise RefusedError(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        for number in known if version is None else [version]:
            yield _status(number, known[number])

    async def configure(self, config: configs.ModelServerConfig) -> list[str]:
        """Serves exactly these models from now on.

        Returns:
            When they are loaded, the names of those of which no version is.
        """
        async with self._scanning:
            old, self._models = self._models, {}
            for wanted in config.model_config_list.config:
                self._models[wanted.name] = _kept(old.get(wanted.name), wanted)
        await self.scan()
        missing = [model.config for model in self._models.values() if not model.loaded]
        for one in missing:
            _log.warning("%s: no version is loaded from %s", one.name, one.base_path)
        return [one.name for one in missing]

    async def scan(self) -> None:
        """Looks for versions that came or went."""
        async with self._scanning:
            for model in list(self._models.values()):
                await self._load_wanted(model)
                await self._unload_others(model)

    async def _load_wanted(self, model: _Model) -> None:
        most, count = model.most(), 0
        for version in model.candidates():
            if count < most and (version in model.loaded or await self._load(model, version)):
                count += 1

    async def _load(self, model: _Model, version: int) -> bool:
        if model.failed(version):
            return False
        stamp, name = _stamp(model.folder(version)), model.config.name
        model.known[version] = _Known(State.LOADING)
        try:
            model.loaded[version] = await self._in_thread(Servable, name, version, model.folder(version))
        except Exception as error:
            refusal = refusal_of(error)
            model.known[version] = _Known(State.END, refusal, stamp)
            _log.warning("%s: version %d is refused: %s", name, version, refusal)
            return False
        model.known[version] = _Known(State.AVAILABLE)
        _log.info("%s: version %d is loaded", name, version)
        return True

    async def _unload_others(self, model: _Model) -> None:
        """Ends versions that are wanted no more; a folder that is lost altogether ends nothing."""
        wanted = [version for version in model.candidates() if version in model.loaded][: model.most()]
        unwanted = set(model.loaded) - set(wanted) if wanted else set()
        for version in unwanted:
            del model.loaded[version]
            model.known[version] = _Known(State.END)
            _log.info("%s: version %d is unloaded", model.config.name, version)
        replaced = model.former if model.loaded else {}
        if unwanted or replaced:
            replaced.clear()
            await self._in_thread(gc.collect)

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._loader, function, *arguments)

    def close(self) -> None:
        """Ends the loading thread."""
        self._loader.shutdown(wait=False, cancel_futures=True)


def _kept(old: _Model | None, config: configs.ModelConfig) -> _Model:
    """A model with the versions that are loaded by its former configuration."""
    model = _Model(config)
    if old and Path(old.config.base_path) == Path(config.base_path):
        model.loaded, model.former, model.known = old.loaded, old.former, old.known
    elif old:
        model.former = dict(old.serving())
    return model


def _status(version: int, known: _Known) -> status.ModelVersionStatus:
    found = status.ModelVersionStatus(version=version, state=known.state)
    if known.error:
        found.status.error_code = known.error.code.value[0]
        found.status.error_message = str(known.error)
    else:
        found.status.error_code = 0
    return found


def _stamp(folder: Path) -> tuple:
    """Changes whenever a file of the folder does."""
    stats = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return tuple((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats)
