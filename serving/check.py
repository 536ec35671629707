"""Does an export score as the ranker that it was made from, where nothing of this project is at hand?"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import semid_tf as sid
from serving.export import ALL
from serving.warmup import WarmupExample, codes_of, indices_of

TOLERANCE = 1e-5
_BARE = Path(__file__).with_name("bare.py")

Answers = dict[str, dict[str, Any]]


def score_in_bare_process(export_dir: str | Path, requests: Mapping[str, Mapping[str, Any]]) -> Answers:
    """Scores requests in a fresh process that has TensorFlow and tensorflow_text, nothing of this project.

    Args:
        export_dir: one version folder.
        requests: arrays or nested lists by input, by signature. An empty history is one padding, `[[""]]`.

    Returns:
        Nested lists by output, by signature.

    Raises:
        ArtifactError: the process failed; with the last line that it wrote.
    """
    with tempfile.TemporaryDirectory() as folder:
        request = Path(folder) / "request.json"
        request.write_text(json.dumps(_plain(requests)), encoding="utf-8")
        command = [sys.executable, "-I", str(_BARE), str(Path(export_dir).absolute()), str(request)]
        done = subprocess.run(
            command, cwd=folder, env=_bare_environment(), capture_output=True, encoding="utf-8"
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise sid.ArtifactError(f"{export_dir} cannot score in a bare process: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def _plain(requests: Mapping[str, Mapping[str, Any]]) -> Answers:
    def lists(inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _written(np.asarray(values).tolist()) for name, values in inputs.items()}

    return {signature: lists(inputs) for signature, inputs in requests.items()}


def _written(value: Any) -> Any:
    if isinstance(value, list):
        return [_written(one) for one in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _bare_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TF_"))}
    return kept | {"TF_CPP_MIN_LOG_LEVEL": "3"}


def verify_export(
    export_dir: str | Path,
    ranker: sid.Ranker,
    tokenizer: sid.Tokenizer,
    items: sid.ItemTable,
    quantizer: sid.SavedQuantizer,
    example: WarmupExample,
    signatures: Sequence[str] = ALL,
) -> float:
    """Compares an export in a bare process with the ranker in this one, by every signature.

    Args:
        export_dir: one version folder, or the staging folder that will become one.
        ranker, tokenizer, items, quantizer: what the export was made from.
        example: real users and candidates.
        signatures: of the export.

    Returns:
        The largest difference of a score.

    Raises:
        ArtifactError: a score differs by more than 1e-5, or codes or known flags differ at all.
    """
    expected = expected_answers(ranker, tokenizer, items, quantizer, example)
    requests = {name: inputs for name, inputs in example.requests(items).items() if name in signatures}
    answers = score_in_bare_process(export_dir, requests)
    differences = [
        _require_equal(f"{export_dir}: {name} of {signature}", np.asarray(answers[signature][name]), values)
        for signature, outputs in expected.items()
        if signature in signatures
        for name, values in outputs.items()
    ]
    return max(differences)


def expected_answers(
    ranker: sid.Ranker,
    tokenizer: sid.Tokenizer,
    items: sid.ItemTable,
    quantizer: sid.SavedQuantizer,
    example: WarmupExample,
) -> dict[str, dict[str, np.ndarray]]:
    """What the signatures should answer, by the Keras ranker and the parts on their own."""
    history = tf.constant(indices_of(example.history, items))
    candidates = tf.constant(indices_of(example.candidates, items))
    embeddings = np.asarray(example.candidate_embeddings, np.float32)
    codes = quantizer.encode(embeddings.reshape(-1, embeddings.shape[-1])).reshape(*candidates.shape, -1)
    by_index = ranker({"history": history, "candidates": candidates})
    by_codes = _logits_by_codes(ranker, tokenizer, history, codes)
    known = {"scores": tf.sigmoid(by_index).numpy(), "known": candidates.numpy() > 0}
    new = {"scores": tf.sigmoid(by_codes).numpy(), "codes": codes}
    flat = codes.reshape(-1, codes.shape[-1])
    of_items = known["scores"].reshape(-1, 1)
    classes = np.where(known["known"].reshape(-1, 1), "known", "unknown")
    return {
        **dict.fromkeys(("rank_item_ids", "rank_examples"), known),
        # Own parts of the items are known by id alone.
        "rank_codes": known
        | {"scores": tf.sigmoid(_logits_of_codes(ranker, tokenizer, items, example)).numpy()},
        "rank_items": {
            "scores": np.where(known["known"], known["scores"], new["scores"]),
            "known": known["known"],
        },
        "rank_embeddings": new,
        "classify": {"scores": of_items, "classes": classes},
        "regress": {"outputs": of_items[:, 0]},
        "encode": {"codes": flat},
        "decode": {"embedding": quantizer.decode(example.codes_to_decode(items))},
    }


def _logits_by_codes(
    ranker: sid.Ranker, tokenizer: sid.Tokenizer, history: tf.Tensor, codes: np.ndarray
) -> tf.Tensor:
    user = ranker.user(ranker.item_embedding(history), history > 0)
    return ranker.score(user, _vectors_of_codes(ranker, tokenizer, codes))


def _logits_of_codes(
    ranker: sid.Ranker, tokenizer: sid.Tokenizer, items: sid.ItemTable, example: WarmupExample
) -> tf.Tensor:
    """History and candidates by their codes alone."""
    history, candidates = (codes_of(ids, items) for ids in (example.history, example.candidates))
    vectors = _vectors_of_codes(ranker, tokenizer, history)
    user = ranker.user(vectors, tf.constant((history >= 0).all(axis=-1)))
    return ranker.score(user, _vectors_of_codes(ranker, tokenizer, candidates))


def _vectors_of_codes(ranker: sid.Ranker, tokenizer: sid.Tokenizer, codes: np.ndarray) -> tf.Tensor:
    """Vectors [b, n, dim] of codes, int [b, n, num_levels]; zeros for those of -1."""
    flat = codes.reshape(-1, codes.shape[-1])
    known = (flat >= 0).all(axis=1, keepdims=True)
    pieces = np.where(known, tokenizer.encode(np.maximum(flat, 0)), 0)
    vectors = ranker.item_embedding.embedding.of_pieces(tf.constant(pieces))
    return tf.reshape(vectors, (*codes.shape[:2], -1))


def _require_equal(where: str, found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, if it is small enough."""
    if found.shape != expected.shape:
        shapes = f"{list(found.shape)}; the ranker gives {list(expected.shape)}"
        raise sid.ArtifactError(f"{where} have shape {shapes}.")
    if expected.dtype.kind == "U":
        found, expected = found != expected, np.zeros(found.shape, bool)
    difference = np.abs(found.astype(np.float64) - expected).max(initial=0.0)
    allowed = TOLERANCE if expected.dtype.kind == "f" else 0
    # Not `difference > allowed`: that would let NaN pass.
    if not difference <= allowed:
        raise sid.ArtifactError(
            f"{where} differ from the ranker's by {difference:.3g}; {allowed} is allowed."
        )
    return float(difference)
