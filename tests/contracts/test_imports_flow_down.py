"""Imports run one way, as the syntax trees say."""

from __future__ import annotations

from pathlib import Path

import pytest
from import_rules import violations

ROOT = Path(__file__).resolve().parents[2]


def test_imports_flow_down() -> None:
    assert not (found := violations(ROOT)), "\n" + "\n".join(found)


def test_every_module_is_looked_at() -> None:
    assert (ROOT / "semid_tf" / "errors.py").is_file()
    assert (ROOT / "pipelines").is_dir()
    assert (ROOT / "serving").is_dir()
    assert (ROOT / "benchmarks").is_dir()


@pytest.mark.parametrize(
    ("path", "line", "message"),
    [
        ("semid_tf/config.py", "from semid_tf.artifacts import publish", "config stands above artifacts"),
        ("semid_tf/ids/text.py", "import semid_tf.layers.pieces", "ids stands above layers"),
        ("semid_tf/evaluation/auc.py", "from semid_tf import training", "evaluation stands above training"),
        ("semid_tf/data/files.py", "from semid_tf import Items", "Items has no place in the order of rooms"),
        ("semid_tf/data/files.py", "import semid_tf", "imports from the room, not from the package"),
        ("semid_tf/__init__.py", "from semid_tf.chain import Chain", "__init__ stands above chain"),
        ("semid_tf/other.py", "from semid_tf.errors import SemidError", "other has no place in the order"),
        ("semid_tf/models/one.py", "from serving.export import export_ranker", "only chain and cli may"),
        ("semid_tf/models/one.py", "from . import ranker", "imports are absolute"),
        ("semid_tf/layers/one.py", "import keras", "use tf_keras"),
        ("semid_tf/layers/one.py", "from tensorflow.keras import layers", "use tf_keras"),
        ("semid_tf/layers/one.py", "tf.keras.layers.Dense(1)", "uses tf.keras"),
        ("pipelines/job.py", "from semid_tf import RQVAE", "only by `import semid_tf as sid`"),
        ("pipelines/job.py", "import semid_tf", "only by `import semid_tf as sid`"),
        ("pipelines/job.py", "import serving.export", "pipelines does not know serving"),
        ("serving/server.py", "from pipelines.encode import encode_corpus", "does not know pipelines"),
        ("benchmarks/speed.py", "from semid_tf import RQVAE", "only by `import semid_tf as sid`"),
        ("semid_tf/quantizer/fit.py", "import benchmarks.speed", "only chain and cli may import benchmarks"),
        ("serving/server.py", "import semid_tf as sid\nimport semid_tf.errors", "import semid_tf.errors"),
    ],
)
def test_a_wrong_import_is_named_by_file_and_line(tmp_path: Path, path: str, line: str, message: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(f'"""A module."""\n\n\ndef inside():\n    {line}'.replace("\nimport", "\n    import"))
    (found,) = violations(tmp_path)
    place = f"{path}:{5 + line.count(chr(10))}: "
    assert found.startswith(place)
    assert message in found


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("semid_tf/quantizer/fit.py", "from semid_tf.quantizer.rqvae import RQVAE"),
        ("semid_tf/quantizer/fit.py", "from semid_tf.errors import DataError"),
        ("semid_tf/chain.py", "from serving.export import export_ranker"),
        ("semid_tf/__init__.py", "from semid_tf.training import fit_ranker"),
        ("semid_tf/layers/one.py", "import tf_keras"),
        ("serving/server.py", "import semid_tf as sid"),
        ("serving/server.py", "from serving.export import export_ranker"),
    ],
)
def test_a_right_import_is_left_alone(tmp_path: Path, path: str, line: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(line + "\n")
    assert violations(tmp_path) == []
