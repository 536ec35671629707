"""Mistakes end in one line before the job starts; a broken model fails the job; nothing is published."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from small_quantizer import DIM, NearestCodewords, embeddings, publish_quantizer

import semid_tf as sid
from pipelines.encode import encode_corpus, main, publish_corpus
from pipelines.report import check_rejected_rate
from pipelines.sinks import codes_file

NOBODY = 65534
THREADS = ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]
Write = Callable[..., str]


def refusal(items: str, quantizer: Path, folder: Path) -> str:
    """The message of the DataError, after checking that it is one line and nothing was written."""
    folder = folder / "out"
    with pytest.raises(sid.DataError) as caught:
        encode_corpus(items, quantizer, folder)
    assert "\n" not in str(caught.value)
    assert not folder.exists()
    return str(caught.value)


def test_no_file_matches(quantizer: Path, tmp_path: Path) -> None:
    pattern = str(tmp_path / "none-*.parquet")
    expected = f"{pattern}: no file matches; give the path or pattern of item files."
    assert refusal(pattern, quantizer, tmp_path) == expected


def test_a_file_system_that_beam_does_not_know(quantizer: Path, tmp_path: Path) -> None:
    message = refusal("nofs://bucket/items-*.parquet", quantizer, tmp_path)
    assert message.startswith("nofs://bucket/items-*.parquet: cannot be read (Unable to get filesystem")
    assert message.endswith("); give a path that Beam reaches from here.")


def test_a_path_below_a_file(quantizer: Path, tmp_path: Path, write_items: Write) -> None:
    path = write_items(["a"], embeddings(1).tolist()) + "/items.parquet"
    assert refusal(path, quantizer, tmp_path).startswith(f"{path}: no file matches")


def test_missing_column(quantizer: Path, tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"item_id": ["a"], "vector": [[1.0]]}), path)
    expected = f"{path}: has no column embedding; its columns are item_id, vector."
    assert refusal(str(path), quantizer, tmp_path) == expected


@pytest.mark.parametrize("kept", [0, 4, 40, -5])
def test_truncated_file(kept: int, quantizer: Path, tmp_path: Path, write_items: Write) -> None:
    path = Path(write_items(["a", "b"], embeddings(2).tolist()))
    path.write_bytes(path.read_bytes()[:kept])
    message = refusal(str(path), quantizer, tmp_path)
    assert message.startswith(f"{path}: is no whole Parquet file (")
    assert message.endswith("); write it anew.")


def test_a_folder_is_no_file(quantizer: Path, tmp_path: Path) -> None:
    assert refusal(str(tmp_path), quantizer, tmp_path).startswith(f"{tmp_path}: is no whole Parquet file (")


@pytest.mark.parametrize("column", [["[1, 2]"], [[1, 2]], [1.0], [["x"]]])
def test_embeddings_of_a_wrong_type(
    column: list[object], quantizer: Path, tmp_path: Path, write_items: Write
) -> None:
    path = write_items(["a"], column)
    kind = pq.read_schema(path).field("embedding").type
    expected = f"{path}: column embedding is {kind}; a list of float16, float32 or float64 is needed."
    assert refusal(path, quantizer, tmp_path) == expected


def test_item_ids_of_a_wrong_type(quantizer: Path, tmp_path: Path, write_items: Write) -> None:
    path = write_items([1.5], embeddings(1).tolist())
    expected = f"{path}: column item_id is double; string or integer is needed."
    assert refusal(path, quantizer, tmp_path) == expected


def test_one_bad_file_among_many(quantizer: Path, tmp_path: Path, write_items: Write) -> None:
    good = write_items(["a"], embeddings(1).tolist())
    shutil.copy(good, tmp_path / "a.parquet")
    (tmp_path / "z.parquet").write_text("item_id,embedding\n")
    message = refusal(str(tmp_path / "*.parquet"), quantizer, tmp_path)
    assert message.startswith(f"{tmp_path / 'z.parquet'}: is no whole Parquet file (")


def test_no_rows_at_all(quantizer: Path, tmp_path: Path, write_items: Write) -> None:
    path = write_items(pa.array([], pa.string()), pa.array([], pa.list_(pa.float32())))
    assert (
        refusal(path, quantizer, tmp_path) == f"{path}: holds no rows (1 files); at least one item is needed."
    )


@pytest.mark.parametrize("fixed", [False, True])
def test_a_quantizer_of_another_dimension(
    fixed: bool, quantizer: Path, tmp_path: Path, write_items: Write
) -> None:
    half = DIM // 2
    if fixed:
        column = pa.array([[1.0] * half, [2.0] * half], pa.list_(pa.float32(), half))
    else:
        column = pa.array([None, [1.0] * half], pa.list_(pa.float32()))
    path = write_items(["a", "b"], column)
    assert refusal(path, quantizer, tmp_path) == (
        f"{path}: embeddings have 4 values, but quantizer 0123456789abcdef ({quantizer}) takes 8; "
        "give such as it was trained on."
    )


def test_all_items_rejected(quantizer: Path, tmp_path: Path, write_items: Write) -> None:
    path = write_items(["a", "a", None], [[math.nan] * DIM, None, [0.0] * DIM])
    with pytest.raises(sid.DataError) as caught:
        publish_corpus(path, quantizer, tmp_path / "out" / "codes")
    reasons = "missing_item_id 1, missing_embedding 1, not_finite 1"
    assert str(caught.value) == f"all 3 items were rejected ({reasons}); at least one must be valid."
    assert not list((tmp_path / "out").iterdir())


def test_more_rejected_than_allowed(quantizer: Path, tmp_path: Path, write_items: Write) -> None:
    path = write_items(["a", "b", "c", None], embeddings(4).tolist())
    output = tmp_path / "out" / "codes"
    with pytest.raises(sid.DataError) as caught:
        publish_corpus(path, quantizer, output, max_rejected_rate=0.24)
    assert str(caught.value) == (
        "1 of 4 items were rejected (missing_item_id 1), more than max_rejected_rate 0.24 allows; "
        "mend the items, or allow more."
    )
    assert not list(output.parent.iterdir())
    flags = ["--items", path, "--quantizer", str(quantizer), "--output", str(output)]
    assert main([*flags, "--max-rejected-rate", "0.24"]) == 2
    assert main([*flags, "--max_rejected_rate=0.25"]) == 0
    assert sid.open_artifact(output, "codes").manifest.metrics["rejected"] == 1
    with pytest.raises(sid.ConfigError, match=r"^max_rejected_rate must be in \[0, 1\], got 1\.5\.$"):
        encode_corpus(path, quantizer, tmp_path / "more", max_rejected_rate=1.5)


def test_a_rate_is_compared_as_it_was_given() -> None:
    report = {"rejected": 29, "input": 100, "rejected_by_reason": {"not_finite": 29}}
    check_rejected_rate(report, 0.29)
    with pytest.raises(sid.DataError, match="29 of 100 items were rejected"):
        check_rejected_rate(report, 0.28)


def test_an_item_lost_on_the_way_fails_the_job(
    quantizer: Path, tmp_path: Path, write_items: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pipelines.transforms.codes_file", lambda table, **rest: codes_file(table[1:], **rest)
    )
    path = write_items(["a", "b", "c", None], embeddings(4).tolist())
    with pytest.raises(sid.DataError, match=r"^4 items came in, but 2 encoded, 0 unchanged and 1 rejected"):
        publish_corpus(path, quantizer, tmp_path / "out" / "codes")
    assert not list((tmp_path / "out").iterdir())


def test_shards_below_one_and_unknown_runners(quantizer: Path, tmp_path: Path, write_items: Write) -> None:
    path = write_items(["a"], embeddings(1).tolist())
    with pytest.raises(sid.ConfigError, match=r"^num_shards must be at least 1, got 0\.$"):
        encode_corpus(path, quantizer, tmp_path / "out", num_shards=0)
    with pytest.raises(sid.ConfigError, match=r"^Beam refuses its options: .*NoSuchRunner"):
        encode_corpus(path, quantizer, tmp_path / "out", PipelineOptions(["--runner=NoSuchRunner"]))


def test_a_folder_in_use_is_refused(quantizer: Path, tmp_path: Path, write_items: Write) -> None:
    path = write_items(["a"], embeddings(1).tolist())
    (tmp_path / "out" / "codes").mkdir(parents=True)
    with pytest.raises(
        sid.ArtifactError, match=r"out/codes exists and is never overwritten; give a fresh folder\.$"
    ):
        encode_corpus(path, quantizer, tmp_path / "out")


def test_incomplete_quantizers(quantizer: Path, tmp_path: Path, write_items: Write) -> None:
    path = write_items(["a"], embeddings(1).tolist())
    with pytest.raises(
        sid.ArtifactError, match=r"nowhere is no complete artifact: it has no manifest\.json\.$"
    ):
        encode_corpus(path, tmp_path / "nowhere", tmp_path / "out")
    broken = tmp_path / "broken"
    shutil.copytree(quantizer, broken)
    data = next(broken.glob("variables/variables.data-*"))
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(sid.ArtifactError, match=r"broken cannot be loaded \([^\n]*\); make it anew\.$"):
        encode_corpus(path, broken, tmp_path / "out")


class Failing(NearestCodewords):
    """Loads, but cannot encode."""

    @tf.function(input_signature=[tf.TensorSpec((None, DIM), tf.float32, "embedding")])
    def encode(self, embedding: tf.Tensor) -> dict[str, tf.Tensor]:
        checked = tf.debugging.Assert(tf.shape(embedding)[0] < 0, ["never mind"])
        with tf.control_dependencies([checked]):
            return {"codes": tf.zeros((tf.shape(embedding)[0], 3), tf.int32)}


class OneLevelShort(NearestCodewords):
    """Gives fewer codes than its manifest says."""

    @tf.function(input_signature=[tf.TensorSpec((None, DIM), tf.float32, "embedding")])
    def encode(self, embedding: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"codes": tf.zeros((tf.shape(embedding)[0], 2), tf.int32)}


class OutOfRange(NearestCodewords):
    """Gives codes that its manifest does not know."""

    @tf.function(input_signature=[tf.TensorSpec((None, DIM), tf.float32, "embedding")])
    def encode(self, embedding: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"codes": tf.fill((tf.shape(embedding)[0], 3), 16)}


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Failing, r"broken cannot encode \(.*never mind.*\); make it anew\."),
        (OneLevelShort, r"encode gave int32 \[2, 2\]; int32 \[2, 3\] is needed\."),
        (OutOfRange, r"codes\[0, 0\] is 16; level 0 has codes 0 to 15\."),
    ],
)
def test_a_broken_model_fails_the_job_and_publishes_nothing(
    module: type[NearestCodewords],
    message: str,
    tmp_path: Path,
    write_items: Write,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_items(["a", "b"], embeddings(2).tolist())
    broken = publish_quantizer(module(), tmp_path / "broken")
    flags = ["--items", path, "--quantizer", str(broken), "--output", str(tmp_path / "out" / "codes")]
    assert main(flags) == 2
    assert re.fullmatch(rf"error: [^\n]*{message}\n", capsys.readouterr().err)
    assert not list((tmp_path / "out").iterdir())


def test_main_says_a_mistake_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], quantizer: Path
) -> None:
    flags = [
        "--items",
        str(tmp_path / "none"),
        "--quantizer",
        str(quantizer),
        "--output",
        str(tmp_path / "out"),
    ]
    assert main(flags) == 2
    said = capsys.readouterr().err
    assert said == f"error: {tmp_path / 'none'}: no file matches; give the path or pattern of item files.\n"
    assert not list(tmp_path.glob("*"))


@pytest.mark.parametrize("workers", [[], THREADS], ids=["one worker", "two workers"])
def test_a_damaged_page_fails_the_job(
    workers: list[str],
    quantizer: Path,
    tmp_path: Path,
    write_items: Write,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Of the item ids: they are not looked at before the job.
    path = Path(write_items([f"item-{i}" for i in range(500)], embeddings(500).tolist()))
    content = bytearray(path.read_bytes())
    content[200:2_000] = bytes(1_800)
    path.write_bytes(content)
    flags = ["--items", str(path), "--quantizer", str(quantizer), "--output", str(tmp_path / "out" / "codes")]
    assert main([*flags, *workers]) == 2
    *before, said = capsys.readouterr().err.splitlines()
    assert re.fullmatch(rf"error: {path}: row group 0 cannot be read \(.*\); write it anew\.", said)
    assert workers or not before  # several workers print what they met
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
    assert not list((tmp_path / "out").iterdir())


def test_damaged_embeddings_are_met_before_the_job(
    quantizer: Path, tmp_path: Path, write_items: Write
) -> None:
    path = Path(write_items([f"item-{i}" for i in range(500)], embeddings(500).tolist()))
    chunk = pq.read_metadata(path).row_group(0).column(1)
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset : chunk.data_page_offset + 99] = bytes(99)
    path.write_bytes(content)
    assert refusal(str(path), quantizer, tmp_path).startswith(f"{path}: is no whole Parquet file (")


def test_an_interrupt_publishes_nothing(
    quantizer: Path,
    tmp_path: Path,
    write_items: Write,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.transforms.split", interrupt)
    flags = ["--items", write_items(["a"], embeddings(1).tolist()), "--quantizer", str(quantizer)]
    assert main([*flags, "--output", str(tmp_path / "out" / "codes")]) == 130
    assert capsys.readouterr().err.endswith("interrupted; nothing was published\n")
    assert not list((tmp_path / "out").iterdir())


def test_a_run_says_nothing_needless(
    quantizer: Path, tmp_path: Path, write_items: Write, caplog: pytest.LogCaptureFixture
) -> None:
    encode_corpus(write_items(["a", "b"], embeddings(2).tolist()), quantizer, tmp_path / "out")
    assert [record.message for record in caplog.records if record.levelname != "INFO"] == []


def test_beam_is_imported_without_a_word() -> None:
    command = [sys.executable, "-c", "import pipelines.sources"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    assert (done.stdout, done.stderr) == ("", "")


@contextmanager
def without_privileges() -> Iterator[Path]:
    """A folder that others can read, and an end of the rights that were given up inside."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        try:
            yield Path(folder)
        finally:
            os.seteuid(user)


def give_up_privileges() -> None:
    """The superuser may read and write everything."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)


@pytest.mark.parametrize("name", ["items.parquet", "items.csv"])
def test_a_file_that_may_not_be_read(name: str, quantizer: Path, write_items: Write) -> None:
    with without_privileges() as folder:
        shutil.copytree(quantizer, folder / "quantizer")
        shutil.copy(write_items(["a"], embeddings(1).tolist()), folder / name)
        (folder / name).chmod(0)
        give_up_privileges()
        assert refusal(str(folder / name), folder / "quantizer", folder) == (
            f"{folder / name}: may not be read; give this user the right to."
        )


def test_an_output_folder_that_may_not_be_written(quantizer: Path, write_items: Write) -> None:
    with without_privileges() as folder:
        shutil.copytree(quantizer, folder / "quantizer")
        shutil.copy(write_items(["a"], embeddings(1).tolist()), folder / "items.parquet")
        (folder / "out").mkdir(mode=0o555)
        give_up_privileges()
        with pytest.raises(sid.SemidError, match=r"out: may not be written; give this user the right to\.$"):
            publish_corpus(str(folder / "items.parquet"), folder / "quantizer", folder / "out" / "codes")
