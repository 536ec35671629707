"""An export scores in a process that cannot import this project, and equals the ranker there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_ranker import call, embeddings, example, numpy_scores

import semid_tf as sid
from serving import bare
from serving.check import expected_answers, score_in_bare_process, verify_export
from serving.export import export_ranker
from serving.versions import publish_export
from serving.warmup import codes_of

PROBE = """
import importlib.util, json, sys
before = [name for name in sys.argv[2:] if importlib.util.find_spec(name)]
spec = importlib.util.spec_from_file_location("bare", sys.argv[1])
bare = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bare)
sys.meta_path.insert(0, bare.Refusal())
messages = {}
for name in before:
    try:
        __import__(name)
    except ImportError as error:
        messages[name] = str(error)
print(json.dumps([before, messages]))
"""


def test_an_export_is_verified_and_published(exports: dict[str, Any], tmp_path: Path) -> None:
    of = exports["sentencepiece"].parts
    shown = example(of.items)

    def fill(folder: Path) -> dict[str, Any]:
        export_ranker(*of, folder, shown)
        return {"largest_difference": verify_export(folder, *of, shown)}

    export = publish_export(tmp_path, fill, [of.quantizer.artifact], {})
    assert export.path == tmp_path / "1"
    assert 0 <= export.manifest.metrics["largest_difference"] < 1e-6


def test_an_export_that_scores_otherwise_is_not_published(exports: dict[str, Any], tmp_path: Path) -> None:
    of = exports["unigram"].parts
    bias = of.ranker.tower.weights[-1]
    trained = bias.numpy()

    def fill(folder: Path) -> dict[str, Any]:
        export_ranker(*of, folder, example(of.items))
        bias.assign(trained + 0.01)
        return {"largest_difference": verify_export(folder, *of, example(of.items))}

    try:
        with pytest.raises(
            sid.ArtifactError, match=r"scores of rank_item_ids differ from the ranker's by 0\.00"
        ):
            publish_export(tmp_path, fill, [of.quantizer.artifact], {})
    finally:
        bias.assign(trained)
    assert not list(tmp_path.iterdir())


def test_a_bare_process_scores_known_and_brand_new_items(exports: dict[str, Any]) -> None:
    export = exports["prefix"]
    new = embeddings(1, seed=77)
    requests = {
        "serving_default": {
            "history": [["item 1", ""]],
            "candidates": [["item 2", "nobody", "Käse, süß\t🧀"]],
        },
        "rank_embeddings": {"history": [["item 1"]], "candidate_embeddings": new[None]},
    }
    answers = score_in_bare_process(export.folder, requests)
    assert answers["serving_default"]["known"] == [[True, False, True]]
    assert answers["rank_embeddings"]["codes"] == [export.parts.quantizer.encode(new).tolist()]
    encode = export.parts.tokenizer.encode
    user, codes = (
        encode(codes_of(np.array(["item 1"]), export.parts.items)),
        export.parts.quantizer.encode(new),
    )
    expected = numpy_scores(export.parts, user, encode(codes))
    np.testing.assert_allclose(answers["rank_embeddings"]["scores"][0], expected, rtol=0, atol=1e-5)


def test_a_failing_process_tells_its_last_line(exports: dict[str, Any]) -> None:
    with pytest.raises(
        sid.ArtifactError,
        match="ValueError: rank is no signature of this export; it has classify, decode, ",
    ):
        score_in_bare_process(exports["unigram"].folder, {"rank": {}})


def test_wrong_inputs_are_named() -> None:
    class Signature:
        structured_input_signature = ((), {"history": None, "candidates": None})

    with pytest.raises(ValueError, match=r"^rank takes candidates, history; got history\.$"):
        bare._call(None, {"rank": Signature()}, "rank", {"history": []})


def test_this_project_is_there_but_refused() -> None:
    command = [sys.executable, "-I", "-c", PROBE, str(bare.__file__), *bare.REFUSED]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    before, messages = json.loads(done.stdout)
    assert before == list(bare.REFUSED), "without the refusal they can be found"
    assert messages == {name: f"{name} is refused: a served model must not need it." for name in bare.REFUSED}


def test_an_import_by_another_road_is_noticed() -> None:
    with pytest.raises(ImportError, match="was imported: a served model must not need it"):
        bare.require_bare()


def test_the_expected_answers_are_those_of_the_export_in_this_process(export: Any) -> None:
    shown = example(export.parts.items)
    expected = expected_answers(*export.parts, shown)
    for name, inputs in shown.requests(export.parts.items).items():
        answer = call(export.module, name, inputs)
        assert sorted(answer) == sorted(expected[name])
        for key, values in expected[name].items():
            if values.dtype.kind == "U":
                assert answer[key].astype(str).tolist() == values.tolist()
            else:
                np.testing.assert_allclose(answer[key], values, rtol=0, atol=1e-6)
