"""A quantizer, and one export for each tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tensorflow as tf
from small_ranker import TOKENIZERS, Parts, example, parts, publish_quantizer

import semid_tf as sid
from serving.export import export_ranker


class Export(NamedTuple):
    """An export as loaded from disk, and what it was made from."""

    folder: Path
    parts: Parts
    module: Any


@pytest.fixture(scope="session")
def quantizer(tmp_path_factory: pytest.TempPathFactory) -> sid.SavedQuantizer:
    """The fitted and published quantizer."""
    return publish_quantizer(tmp_path_factory.mktemp("quantizer") / "it")


@pytest.fixture(scope="session")
def exports(quantizer: sid.SavedQuantizer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Export]:
    """One export for each tokenizer."""
    made = {}
    for name in TOKENIZERS:
        folder, of = tmp_path_factory.mktemp(name), parts(name, quantizer)
        export_ranker(*of, folder, example(of.items))
        made[name] = Export(folder, of, tf.saved_model.load(str(folder)))
    return made


@pytest.fixture(params=TOKENIZERS)
def export(request: pytest.FixtureRequest, exports: dict[str, Export]) -> Export:
    """Each export in turn."""
    return exports[request.param]
