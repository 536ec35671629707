"""The command `semid` from two Parquet files to a served ranker, interrupted, completed and run again."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from click.testing import CliRunner, Result
from sklearn.metrics import roc_auc_score
from small_world import NUM_ITEMS, start, tree, write_config, write_world

import semid_tf as sid
from semid_tf.chain import Chain, load_ranker
from semid_tf.cli import app
from semid_tf.daily import DAY, cut_into_days

pytestmark = pytest.mark.slow

METHODS = ["random_hash", "dense", "unigram", "prefix", "sentencepiece", "id_sid", "random_sid"]
STEPS = [
    *("tables", "examples", "quantizer", "codes", "tokenizer"),
    *(f"{kind}-{method}" for kind in ("ranker", "evaluation") for method in METHODS),
    *("export", "verification"),
]


class Finished(NamedTuple):
    """A process that came to its end."""

    status: int
    stdout: str
    stderr: str


class Run(NamedTuple):
    """The whole chain, made by two processes: the first was interrupted."""

    folder: Path
    config: Path
    output: Path
    interrupted: Finished
    left_behind: list[str]
    completed: Finished

    @property
    def summary(self) -> dict[str, Any]:
        """What the run says of itself."""
        return json.loads((self.output / "summary.json").read_text())

    def artifact(self, kind: str) -> Path:
        """Folder of an artifact."""
        return Path(self.summary["artifacts"][kind])


def interrupt_in_step(config: Path, staged_in: Path) -> Finished:
    """Starts the chain and presses Ctrl-C as soon as a step has begun to write."""
    process = start("run", config)
    while not list(staged_in.glob(".staging-*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    return Finished(process.returncode, stdout, stderr)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Interrupted while the quantizer is trained, then completed."""
    folder = tmp_path_factory.mktemp("run")
    write_world(folder)
    output = folder / "out"
    config = write_config(folder / "run.toml", folder, output)
    interrupted = interrupt_in_step(config, output / "quantizer")
    left_behind = sorted(path.relative_to(output).as_posix() for path in output.rglob("*"))
    process = start("run", config)
    stdout, stderr = process.communicate(timeout=250)
    return Run(folder, config, output, interrupted, left_behind, Finished(process.returncode, stdout, stderr))


def steps(stdout: str) -> dict[str, str]:
    """What is said of each step: `made` or `re-used`."""
    lines = [line.split(": ", 1) for line in stdout.splitlines() if ": made" in line or ": re-used" in line]
    return {kind: said.split()[0].rstrip(",") for kind, said in lines}


def semid(*arguments: str | Path) -> Result:
    """The command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_an_interrupt_keeps_what_is_finished_and_nothing_else(run: Run) -> None:
    assert run.interrupted.status == 130
    last = run.interrupted.stderr.splitlines()[-1]
    assert last == "semid: interrupted; finished steps are kept, the next run goes on from there."
    assert "Traceback" not in run.interrupted.stderr
    assert steps(run.interrupted.stdout) == {"tables": "made", "examples": "made"}
    folders = {path.split("/")[0] for path in run.left_behind if path.count("/") > 1}
    assert folders == {"tables", "examples"}
    assert not [path for path in run.left_behind if ".staging" in path]


def test_the_next_run_goes_on_to_the_end(run: Run) -> None:
    assert run.completed.status == 0, run.completed.stderr
    said = steps(run.completed.stdout)
    assert list(said) == STEPS
    assert {kind for kind, how in said.items() if how == "re-used"} == {"tables", "examples"}
    for word in ("Traceback", "WARNING", "Warning", "I0000"):
        assert word not in run.completed.stderr


def test_the_end_shows_methods_top_ten_and_places(run: Run) -> None:
    for method in METHODS:
        assert f"│ {method}" in run.completed.stdout
    for item in run.summary["verification"]["top"]:
        assert item["item_id"] in run.completed.stdout
        assert item["title"] in run.completed.stdout
    for path in run.summary["artifacts"].values():
        assert path in run.completed.stdout
    assert str(run.output / "summary.json") in run.completed.stdout


def test_counts_add_up(run: Run) -> None:
    summary = run.summary
    assert (summary["items"], summary["encoded"], summary["rejected"]) == (NUM_ITEMS, NUM_ITEMS, 0)
    assert summary["tables"]["interactions"] == 200 * 20
    splits = sid.Splits.load(run.artifact("examples"))
    sizes = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
    assert {name: summary["examples"][name] for name in sizes} == sizes
    assert sum(sizes.values()) == 200 * 20
    assert summary["examples"]["cold_items"] == (splits.item_counts == 0).sum()
    assert 0 < summary["seconds"] < 300


def test_quantizer_figures_are_those_of_the_codes(run: Run) -> None:
    codes = np.stack(pq.read_table(run.artifact("codes") / "codes")["codes"].to_numpy())
    figures = run.summary["quantizer"]
    assert figures["unique_rate"] == len({tuple(row) for row in codes}) / NUM_ITEMS
    assert figures["code_usage"] == [len(set(level)) / 16 for level in codes.T]
    items = sid.read_items(run.folder / "items.parquet").embeddings
    model = tf.saved_model.load(str(run.artifact("quantizer")))
    found = model.signatures["encode"](embedding=tf.constant(items))["codes"].numpy()
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(codes, axis=0))
    restored = model.signatures["decode"](codes=tf.constant(found))["embedding"].numpy()
    expected = np.square(items - restored).sum() / np.square(items - items.mean(axis=0)).sum()
    assert figures["normalized_mse"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_reported(run: Run, method: str) -> None:
    figures = run.summary["methods"][method]
    test = sid.Splits.load(run.artifact("examples")).test
    scores = np.load(run.artifact(f"evaluation-{method}") / "test_scores.npy")
    used = test.weights > 0
    assert figures["auc"] == pytest.approx(roc_auc_score(test.labels[used], scores[used]))
    for name in ("auc", "auc_warm", "auc_cold"):
        assert 0 <= figures[f"{name}_low"] <= figures[name] <= figures[f"{name}_high"] <= 1
    assert figures["train_s"] > 0


def test_rows_and_parameters(run: Run) -> None:
    methods = run.summary["methods"]
    rows = {method: methods[method]["rows"] for method in METHODS}
    # Rows of ids stand in the table of coarse pieces, with which they share the padding.
    hashed = {"random_hash": 64, "prefix": 64, "sentencepiece": 64, "id_sid": 64 + 63}
    assert rows == {"dense": 0, "unigram": 33, "random_sid": 33, **hashed}
    parameters = {method: methods[method]["parameters"] for method in METHODS}
    # The tables are all that differs: 8 numbers a row.
    without_table = {parameters[method] - 8 * rows[method] for method in METHODS if method != "dense"}
    assert len(without_table) == 1
    assert parameters["dense"] == without_table.pop() + (16 * 128 + 128) + (128 * 8 + 8)


def test_provenance_runs_through_the_chain(run: Run) -> None:
    manifests = {kind: sid.read_manifest(path) for kind, path in run.summary["artifacts"].items()}
    assert list(manifests) == STEPS
    for kind, manifest in manifests.items():
        assert manifest.kind == kind
        for parent, known in manifest.parents.items():
            assert known == manifests[parent].fingerprint, f"{kind} of another {parent}"
    best = run.summary["best_semantic_method"]
    assert set(manifests["export"].parents) == {"quantizer", "codes", "tokenizer", f"ranker-{best}"}
    validation = {
        m: run.summary["methods"][m]["auc_validation"]
        for m in ("unigram", "prefix", "sentencepiece", "id_sid")
    }
    assert validation[best] == max(validation.values())


def test_the_export_answers_as_it_was_verified(run: Run) -> None:
    verification = run.summary["verification"]
    scores = [item["score"] for item in verification["top"]]
    assert len(scores) == 10
    assert scores == sorted(scores, reverse=True)
    titles = sid.read_items(run.folder / "items.parquet").table.to_pandas().set_index("item_id")["title"]
    assert all(titles[item["item_id"]] == item["title"] for item in verification["top"])
    space = sid.CodeSpace(2, 16)
    assert sid.parse_semantic_ids([verification["new_item"]["semantic_id"]], space).shape == (1, 2)
    export = tf.saved_model.load(run.summary["export"])
    assert {"serving_default", "rank_codes", "rank_embeddings"} <= set(export.signatures)
    assert (Path(run.summary["export"]) / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0


def test_a_second_run_uses_every_step_again(run: Run) -> None:
    before = tree(run.output)
    result = semid("run", run.config)
    assert result.exit_code == 0, result.stderr
    assert steps(result.stdout) == dict.fromkeys(STEPS, "re-used")
    after = tree(run.output)
    assert before.pop("summary.json") != after.pop("summary.json")
    assert after == before


@pytest.fixture
def copy(run: Run, tmp_path: Path) -> Path:
    """The artifacts of the run in a folder that may be changed."""
    return Path(shutil.copytree(run.output, tmp_path / "copy"))


def test_a_changed_setting_makes_only_what_depends_on_it(run: Run, copy: Path, tmp_path: Path) -> None:
    changed = {"evaluation": {"bootstrap_samples": 21}}
    config = write_config(tmp_path / "changed.toml", run.folder, copy, **changed)
    before = tree(copy)
    result = semid("run", config)
    assert result.exit_code == 0, result.stderr
    made = {kind for kind, how in steps(result.stdout).items() if how == "made"}
    assert made == {f"evaluation-{method}" for method in METHODS}
    after = tree(copy)
    # The earlier evaluations stay beside the new ones.
    assert all(after[path] == state for path, state in before.items() if path != "summary.json")


def test_changed_data_is_prepared_anew_and_the_same_data_is_not(run: Run, copy: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("items.parquet", "interactions.parquet"):
        shutil.copyfile(run.folder / name, data / name)
    config = write_config(tmp_path / "moved.toml", data, copy)
    assert semid("prepare", config).exit_code == 0
    pq.write_table(pq.read_table(data / "interactions.parquet"), data / "interactions.parquet")
    assert steps(semid("prepare", config).stdout) == {"tables": "re-used", "examples": "re-used"}
    pq.write_table(pq.read_table(data / "interactions.parquet")[:-1], data / "interactions.parquet")
    assert steps(semid("prepare", config).stdout) == {"tables": "made", "examples": "made"}


def test_a_step_asked_for_alone_uses_its_parents(run: Run) -> None:
    result = semid("train-tokenizer", run.config)
    assert result.exit_code == 0
    assert set(steps(result.stdout)) == set(STEPS[:5])
    quality = semid("quality", run.config)
    assert json.loads(quality.stdout.splitlines()[-1]) == run.summary["quantizer"]


def test_a_ranker_goes_on_day_by_day_from_where_it_was_saved(run: Run, tmp_path: Path) -> None:
    saved = tmp_path / "later.keras"
    period = 20 * DAY
    of_unigram = ("train-ranker", run.config, "--method", "unigram", "--days", "3", "--period", period)
    first = semid(*of_unigram, "--save", saved)
    days = [json.loads(line) for line in first.stdout.splitlines() if line.startswith("{")]
    assert [day["day"] for day in days] == [1, 2]
    chain = Chain(sid.load_run_config(run.config), print)
    last = cut_into_days(chain.splits.test, 3, period)[2]
    scores, used = sid.score_examples(load_ranker(saved), last), last.weights > 0
    assert days[1]["auc"] == pytest.approx(roc_auc_score(last.labels[used], scores[used]), abs=1e-6)
    again = semid(*of_unigram, "--from", saved)
    assert again.exit_code == 0 and again.stdout.splitlines()[-1] != first.stdout.splitlines()[-1]
    foreign = semid("train-ranker", run.config, "--method", "id_sid", "--from", saved)
    assert_refused(foreign, "the ranker knows 600 items of [2] features, the catalogue has 600 of")
    seconds = semid(*of_unigram, "--from", saved, "--period", 10**18)
    assert_refused(seconds, "days must be at least 2, got 3", "lie in 1 of 1000000000000000000")


def test_quality_is_that_of_the_codes_on_disk(run: Run) -> None:
    rows = pq.read_table(run.artifact("codes") / "codes").to_pylist()
    counts = Counter(row["semantic_id"] for row in rows)
    quality = run.summary["quantizer"]
    assert quality["items"] == len(rows) == NUM_ITEMS
    assert quality["distinct_ids"] == len(counts)
    assert quality["unique_rate"] == len(counts) / NUM_ITEMS
    assert quality["colliding_rate"] == sum(size for size in counts.values() if size > 1) / NUM_ITEMS
    assert quality["codes_used"] == [len({row["codes"][level] for row in rows}) for level in range(2)]
    sizes = sorted((size for size in counts.values() if size > 1), reverse=True)
    assert [group["size"] for group in quality["largest_groups"]] == sizes[:10]
    largest = quality["largest_groups"][0]
    members = sorted(row["item_id"] for row in rows if row["semantic_id"] == largest["semantic_id"])
    assert largest["item_ids"] == members[:3]
    assert quality["warnings"] == []


def test_quality_warns_of_collapse(tmp_path: Path) -> None:
    """Nineteen of twenty items have one embedding, and so one code at every level, however it is trained."""
    items = sid.synthetic_items(400, 8, seed=0)
    rows = np.maximum(np.arange(400) - 380, 0)
    alike = pa.table({"item_id": items.item_ids, "embedding": items.embeddings[rows].tolist()})
    interactions = sid.synthetic_interactions(items, 40, 10, seed=0)
    sid.write_tables(tmp_path, sid.items_from_table(alike), interactions)
    result = semid("quality", write_config(tmp_path / "run.toml", tmp_path, tmp_path / "out"))
    assert result.exit_code == 0, result.stderr
    quality = json.loads(result.stdout.splitlines()[-1])
    assert quality["largest_groups"][0]["size"] >= 381
    assert len(quality["warnings"]) == 2
    for level, line in enumerate(quality["warnings"]):
        assert line.startswith(f"level {level} is dead, nearly all items have one code: ")
        assert f"warning: {line}" in result.stdout


def test_given_artifacts_are_used(run: Run, tmp_path: Path) -> None:
    given = ("--quantizer", run.artifact("quantizer"), "--codes", run.artifact("codes"))
    result = semid("encode", run.config, "--output", tmp_path / "new", *given)
    assert result.exit_code == 0, result.stderr
    assert f"codes: given, {run.artifact('codes')}" in result.stdout
    assert not (tmp_path / "new" / "codes").exists()


# Mistakes


def assert_refused(result: Result, *words: str) -> None:
    """Status 2, and one line that holds all the words."""
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("semid: error: ")
    for word in words:
        assert word in line


def items_table(run: Run) -> Any:
    """The item table, to be spoiled."""
    return pq.read_table(run.folder / "items.parquet").to_pandas()


def without_column(table: Any, column: str) -> Any:
    return table.drop(columns=column)


def with_embedding(table: Any, row: int, values: list[float]) -> Any:
    table.at[row, "embedding"] = np.array(values, np.float32)
    return table


SPOILT = {
    "no embedding": (lambda t: without_column(t, "embedding"), ["items.parquet has no column embedding"]),
    "no item_id": (lambda t: without_column(t, "item_id"), ["items.parquet has no column item_id"]),
    "dimension": (lambda t: with_embedding(t, 7, [1.0] * 15), ["row 7", "'item-7'", "length 15", "have 16"]),
    "NaN": (
        lambda t: with_embedding(t, 9, [1.0] * 15 + [np.nan]),
        ["row 9", "'item-9'", "nan", "position 15"],
    ),
    "infinity": (lambda t: with_embedding(t, 0, [-np.inf] + [0.0] * 15), ["row 0", "'item-0'", "-inf"]),
    "twice": (
        lambda t: t.assign(item_id=t["item_id"].replace("item-5", "item-3")),
        ["row 5", "row 3", "'item-3'"],
    ),
    "no rows": (lambda t: t[:0], ["items.parquet has no rows; it must have at least one"]),
}


@pytest.mark.parametrize("name", SPOILT)
def test_bad_items_are_refused_and_nothing_is_overwritten(run: Run, tmp_path: Path, name: str) -> None:
    spoil, words = SPOILT[name]
    spoil(items_table(run)).to_parquet(tmp_path / "items.parquet")
    shutil.copyfile(run.folder / "interactions.parquet", tmp_path / "interactions.parquet")
    before = tree(run.output)
    assert_refused(semid("run", write_config(tmp_path / "run.toml", tmp_path, run.output)), *words)
    assert tree(run.output) == before


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("items", b"", ["items.parquet cannot be read as Parquet", "write it anew"]),
        ("interactions", b"PAR1 no more", ["interactions.parquet cannot be read as Parquet"]),
        ("interactions", None, ["no file matches", "interactions.parquet"]),
    ],
)
def test_bad_files_are_refused(
    run: Run, tmp_path: Path, name: str, content: bytes | None, words: list
) -> None:
    for table in ("items", "interactions"):
        shutil.copyfile(run.folder / f"{table}.parquet", tmp_path / f"{table}.parquet")
    (tmp_path / f"{name}.parquet").unlink()
    if content is not None:
        (tmp_path / f"{name}.parquet").write_bytes(content)
    before = tree(run.output)
    assert_refused(semid("run", write_config(tmp_path / "run.toml", tmp_path, run.output)), *words)
    assert tree(run.output) == before


def test_interactions_of_strangers_are_refused(run: Run, tmp_path: Path) -> None:
    shutil.copyfile(run.folder / "items.parquet", tmp_path / "items.parquet")
    table = pq.read_table(run.folder / "interactions.parquet").to_pandas()
    table.assign(item_id="stranger").to_parquet(tmp_path / "interactions.parquet")
    config = write_config(tmp_path / "run.toml", tmp_path, tmp_path / "out")
    assert_refused(semid("run", config), "none of the 4000 interactions", "'stranger'")
    assert list((tmp_path / "out" / "tables").iterdir()) == []


def test_an_unknown_setting_is_refused(run: Run, tmp_path: Path) -> None:
    config = write_config(tmp_path / "run.toml", run.folder, tmp_path / "out", quantizer={"num_level": 3})
    assert_refused(semid("run", config), f"{config}: quantizer.num_level", "did you mean num_levels?")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Another quantizer, of embeddings of length 8, and codes by it."""
    store = sid.ArtifactStore(tmp_path_factory.mktemp("stranger"))
    config = sid.RQVAEConfig(num_levels=2, codebook_size=16, latent_dim=4, hidden_dim=4)
    model = sid.RQVAE(8, config)

    def fill(folder: Path) -> sid.Made:
        sid.save_quantizer(model, folder)
        return sid.Made(model.fingerprint)

    quantizer = store.make("quantizer", config, (), fill)
    codes = store.make("codes", {}, (quantizer,), lambda _: sid.Made(sid.fingerprint("codes")))
    return quantizer.path, codes.path


def test_codes_of_another_quantizer_are_refused(run: Run, stranger: tuple[Path, Path]) -> None:
    quantizer, codes = stranger
    before = tree(run.output)
    ours = run.artifact("quantizer")
    for given in ((), ("--quantizer", ours)):
        result = semid("run", run.config, "--codes", codes, *given)
        assert_refused(result, str(codes), f"quantizer {quantizer.name}", f"quantizer {ours.name}")
    assert tree(run.output) == before


def test_a_quantizer_of_another_dimension_is_refused(run: Run, stranger: tuple[Path, Path]) -> None:
    before = tree(run.output)
    result = semid("encode", run.config, "--quantizer", stranger[0])
    assert_refused(result, "have 16 values", f"quantizer {stranger[0].name}", "takes 8")
    assert tree(run.output) == before


def test_a_missing_or_wrong_artifact_is_refused(run: Run, tmp_path: Path) -> None:
    missing = semid("encode", run.config, "--quantizer", tmp_path / "nowhere")
    assert_refused(missing, "nowhere is no complete artifact: it has no manifest.json")
    wrong = semid("encode", run.config, "--quantizer", run.artifact("codes"))
    assert_refused(wrong, "is a codes, not a quantizer")


def test_an_output_that_is_no_folder_is_refused(run: Run) -> None:
    before = (run.folder / "items.parquet").read_bytes()
    result = semid("prepare", run.config, "--output", run.folder / "items.parquet")
    assert_refused(result, "items.parquet")
    assert (run.folder / "items.parquet").read_bytes() == before


def test_a_mistake_is_one_line_in_a_process_of_its_own_and_debug_shows_the_traceback(run: Run) -> None:
    processes = [start("run", run.folder / "none.toml", *more) for more in ((), ("--debug",))]
    plain, debug = (Finished(p.wait(120), *p.communicate()) for p in processes)
    message = f"{run.folder / 'none.toml'}: cannot be read (No such file or directory); give a TOML file."
    assert (plain.status, plain.stdout, plain.stderr) == (2, "", f"semid: error: {message}\n")
    assert debug.status != 0
    assert debug.stderr.startswith("Traceback")
    assert debug.stderr.endswith(f"ConfigError: {message}\n")
