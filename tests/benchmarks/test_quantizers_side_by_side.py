"""The whole benchmark on a small catalogue, and its contenders by another road."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from reference import residual_quantization

from benchmarks.catalogue import draw_embeddings
from benchmarks.contenders import NAMES, Contender, LeftOutError, Product, Task, make_contender
from benchmarks.holdout import hold_out
from benchmarks.quantizer import main
from benchmarks.report import Figures

TASK = Task(num_levels=2, codebook_size=32, seed=6, threads=1)
SIZES = [
    "--items",
    "3000",
    "--dim",
    "16",
    "--levels",
    "2",
    "--codebook-size",
    "32",
    "--seed",
    "6",
    "--threads",
    "1",
]
ALWAYS = ["rqvae", "rqvae_beam5", "residual_kmeans", "faiss_beam1", "faiss_beam5"]


@pytest.fixture(scope="module")
def output() -> list[str]:
    """Lines of the benchmark of all contenders that are always there."""
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        assert main([*SIZES, "--turns", "2", "--only", *ALWAYS]) == 0
    return stdout.getvalue().splitlines()


@pytest.fixture(scope="module")
def entries(output: list[str]) -> dict[str, dict[str, Any]]:
    """The last line."""
    return json.loads(output[-1])


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    """The catalogue that the benchmark drew."""
    return draw_embeddings(3_000, 16, seed=6)


def test_every_entry_has_the_same_fields(entries: dict[str, dict[str, Any]]) -> None:
    assert list(entries) == ALWAYS
    for figures in entries.values():
        assert list(figures) == list(Figures._fields)


def test_the_table_stands_before_the_last_line(output: list[str]) -> None:
    assert [line.split("|")[1].strip() for line in output[:-1]] == ["", "---", *ALWAYS]


def test_figures_lie_where_they_can(entries: dict[str, dict[str, Any]]) -> None:
    for name, figures in entries.items():
        # Two levels of 32 codes leave something, and more of what they never saw.
        assert 0 < figures["normalized_mse"] < figures["normalized_mse_new"] < 1, name
        assert 0 < figures["unique_rate"] <= 32**2 / 3_000, name
        assert [share * 32 for share in figures["code_usage"]] == [
            int(share * 32) for share in figures["code_usage"]
        ]
        assert min(figures["fit_s"], figures["fit_wall_s"], figures["encode_items_per_s"]) > 0


def test_equal_shapes_have_one_bound(entries: dict[str, dict[str, Any]]) -> None:
    bounds = {name: figures["matmul_bound_items_per_s"] for name, figures in entries.items()}
    assert bounds["residual_kmeans"] == bounds["faiss_beam1"] != bounds["faiss_beam5"]


@pytest.mark.parametrize("name", ALWAYS)
def test_errors_are_those_of_a_fit_by_hand(
    name: str, entries: dict[str, dict[str, Any]], embeddings: np.ndarray
) -> None:
    train, new = hold_out(3_000, share=0.1, seed=6)
    contender = fitted(name, embeddings[train])
    for rows, field in ((train, "normalized_mse"), (new, "normalized_mse_new")):
        items = embeddings[rows].astype(np.float64)
        error = np.square(items - contender.decode(contender.encode(embeddings[rows]))).sum()
        variance = np.square(items - items.mean(axis=0)).sum()
        assert entries[name][field] == pytest.approx(error / variance, rel=1e-3)


def fitted(name: str, embeddings: np.ndarray) -> Contender:
    """A contender after its fit."""
    contender = make_contender(name, TASK)
    contender.fit(embeddings)
    return contender


def test_faiss_is_residual_quantization(embeddings: np.ndarray) -> None:
    contender = fitted("faiss_beam1", embeddings)
    codebooks = faiss.vector_to_array(contender.quantizer.codebooks).reshape(2, 32, 16)
    residuals, codes = residual_quantization.residuals_and_codes(embeddings, codebooks)
    assert np.mean(contender.encode(embeddings) == codes) > 0.999
    np.testing.assert_allclose(contender.decode(codes), embeddings - residuals[-1], atol=1e-5)


def test_a_beam_finds_nearer_sums_than_greedy_search(embeddings: np.ndarray) -> None:
    contender = fitted("faiss_beam5", embeddings)
    codebooks = faiss.vector_to_array(contender.quantizer.codebooks).reshape(2, 32, 16)
    residuals, _ = residual_quantization.residuals_and_codes(embeddings, codebooks)
    errors = np.square(embeddings - contender.decode(contender.encode(embeddings))).sum(axis=1)
    assert errors.mean() < np.square(residuals[-1]).sum(axis=1).mean()


def test_products_of_encoding_by_hand(embeddings: np.ndarray) -> None:
    level = Product(16, 32)
    assert fitted("residual_kmeans", embeddings).products() == [level] * 2
    assert fitted("faiss_beam1", embeddings).products() == [level] * 2
    assert fitted("faiss_beam5", embeddings).products() == [level, Product(16, 32, rows_per_item=5)]


@pytest.mark.filterwarnings("ignore:CUDA initialization")
@pytest.mark.parametrize("name", ["semantic_id_rqkmeans", "semantic_id_rqvae"])
def test_the_package_semantic_id_does_what_it_should(name: str, embeddings: np.ndarray) -> None:
    pytest.importorskip("semantic_id")
    contender = fitted(name, embeddings[:500])
    codes = contender.encode(embeddings)
    assert codes.shape == (3_000, 2)
    restored = contender.decode(codes)
    assert restored.shape == embeddings.shape
    if name == "semantic_id_rqkmeans":
        _, greedy = residual_quantization.residuals_and_codes(embeddings, contender.quantizer.codebooks_)
        assert np.mean(codes == greedy) > 0.999
        np.testing.assert_allclose(
            restored, residual_quantization.decode(codes, contender.quantizer.codebooks_), atol=1e-5
        )


def test_a_missing_package_leaves_its_contenders_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("semantic_id", "torch"):
        monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in NAMES if name.startswith("semantic_id")]:
        monkeypatch.delitem(sys.modules, f"benchmarks.contenders.{name}", raising=False)
        with pytest.raises(
            LeftOutError, match=rf"{name} is left out: the package (semantic_id|torch) is not installed"
        ):
            make_contender(name, TASK)


def test_items_that_are_all_alike_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "items.npy", np.ones((500, 4), np.float32))
    assert main(["--embeddings", str(tmp_path / "items.npy"), "--codebook-size", "8"]) == 2
    assert "error: all train items are equal" in capsys.readouterr().err


def test_what_cannot_take_part_is_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--items", "300", "--dim", "4", "--levels", "1", "--codebook-size", "24"]
    assert main([*sizes, "--only", "faiss_beam1"]) == 0
    stdout, stderr = capsys.readouterr()
    assert json.loads(stdout.splitlines()[-1]) == {}
    assert "FAISS is left out: codebook size 24 is no power of two from 2 on." in stderr.splitlines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--embeddings", "nothing.npy"], "error: nothing.npy cannot be read"),
        (["--items", "200"], "error: 180 items to train on are too few for codebook size 256."),
        (["--items", "500", "--holdout", "1.5"], "error: a holdout of 1.5 of 500 items"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert stderr.splitlines()[-1].startswith(message)


@pytest.mark.parametrize(
    "arguments",
    [["--levels", "0"], ["--seed", "-1"], ["--only", "kmeans"], ["--embeddings", "a", "--generator", "b"]],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "error:" in capsys.readouterr().err
