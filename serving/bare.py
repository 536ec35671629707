"""Loads an export where nothing of this project can be imported, as a server would, and scores requests.

    python -I serving/bare.py EXPORT_DIR REQUEST.json

REQUEST.json holds `{signature: {input: nested lists}}`, bytes as `{"b64": ...}`; the last line printed is
`{signature: {output: nested lists}}`, bytes as text. Needs
numpy, tensorflow and tensorflow_text alone, and refuses to find the packages below.
"""

from __future__ import annotations

import base64
import json
import sys
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

REFUSED = ("semid_tf", "tf_keras", "tensorflow_recommenders", "pipelines", "serving")


class Refusal(MetaPathFinder):
    """Lets no module of a refused package be found."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> None:
        if fullname.partition(".")[0] in REFUSED:
            raise ImportError(f"{fullname} is refused: a served model must not need it.", name=fullname)


def require_bare() -> None:
    """Checks that no refused package was imported, by whatever road."""
    if found := [name for name in sys.modules if name.partition(".")[0] in REFUSED]:
        raise ImportError(f"{found[0]} was imported: a served model must not need it.", name=found[0])


def score(export_dir: str, requests: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Outputs of the signatures asked for, as nested lists."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 - registers the ops of SentencePiece

    signatures = tf.saved_model.load(export_dir).signatures
    return {name: _call(tf, signatures, name, inputs) for name, inputs in requests.items()}


def _call(tf: Any, signatures: Any, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    if name not in signatures:
        raise ValueError(f"{name} is no signature of this export; it has {', '.join(sorted(signatures))}.")
    specs = signatures[name].structured_input_signature[1]
    if set(inputs) != set(specs):
        got = ", ".join(sorted(inputs)) or "nothing"
        raise ValueError(f"{name} takes {', '.join(sorted(specs))}; got {got}.")
    tensors = {key: tf.constant(_read(values), specs[key].dtype) for key, values in inputs.items()}
    return {key: _written(tensor.numpy().tolist()) for key, tensor in signatures[name](**tensors).items()}


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(one) for one in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def _written(value: Any) -> Any:
    if isinstance(value, list):
        return [_written(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value


def main(arguments: list[str]) -> str:
    """The answer to a command line, as one line of JSON."""
    export_dir, request = arguments
    requests = json.loads(Path(request).read_text(encoding="utf-8"))
    answer = json.dumps(score(export_dir, requests))
    require_bare()
    return answer


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -I bare.py EXPORT_DIR REQUEST.json")
    sys.meta_path.insert(0, Refusal())
    try:
        print(main(sys.argv[1:]))
    except Exception as error:
        traceback.print_exc()
        # One line, last: whoever started this process shows it alone.
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
