"""Encodes a whole corpus: embeddings -> Semantic IDs.

    python -m pipelines.encode --items 'items/*.parquet' --quantizer QUANTIZER --output FOLDER [Beam options]

writes

    codes/part-00000-of-0000N.parquet       item_id, codes, semantic_id, quantizer, encoded_at, content, ...
    rejected/part-00000-of-0000N.parquet    item_id, reason, source, row
    report.json                             counts and statistics
    manifest.json, COMPLETED                last, when all the rest is there

`--tokenizer NAME=FOLDER` gives a column `piece_ids_NAME`; `--format csv` (jsonl, avro, tfrecord) writes the
codes once more, into `codes_csv/`. Items (but TFRecord, which TensorFlow reads), quantizer, tokenizers and
output may lie on any Beam file system; an output that lies not on a local disk is complete when COMPLETED is
there.
`--previous FOLDER` names an earlier output: only new and changed items are encoded, the others are carried
over, and those that are gone are left out. The codes are those of a run without it.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineResult

import semid_tf as sid
from pipelines.ahead import ahead
from pipelines.arrow_coder import to_bytes
from pipelines.codes_files import KIND, paths_of
from pipelines.counting import read_counter
from pipelines.encoding import QuantizerHandler, share_model
from pipelines.flags import JobParser
from pipelines.launch import absolute, check_items, match_files, open_quantizer
from pipelines.nearby import near
from pipelines.outputs import filling, make_folder, new_output, publish_output
from pipelines.pieces import Tokenizers
from pipelines.previous import Previous
from pipelines.progress import elapsed_time
from pipelines.publishing import write_json
from pipelines.report import check_rejected_rate, make_report
from pipelines.running import exit_status, reach_files, run_job
from pipelines.schema import CODES, ITEM_ID, QUANTIZER
from pipelines.sinks import remove_attempts
from pipelines.sources import ReadItems, open_parquet
from pipelines.started import Started
from pipelines.transforms import ENCODED, REJECTED_DOOR, EncodeItems, WriteDoors
from pipelines.writers import FORMATS

#: Of a job that was handed to Beam: the report, or less.
Afterwards = Callable[[Started, sid.SavedQuantizer, PipelineResult], dict[str, Any]]
#: Items a shard where the number of shards is not given.
SHARD_ITEMS = 250_000


def encode_corpus(
    items: str,
    quantizer: str | Path,
    folder: str | Path,
    options: PipelineOptions | None = None,
    num_shards: int | None = None,
    previous: str | Path | None = None,
    max_rejected_rate: float = 1.0,
    tokenizers: Sequence[str] = (),
    formats: Sequence[str] = (),
    *,
    afterwards: Afterwards | None = None,
) -> dict[str, Any]:
    """Encodes all items into an existing folder, such as a staging folder.

    Every item leaves by exactly one door: `codes`, or `rejected` with the reason. Of several valid rows with
    one item_id, the first by file and row is encoded. The same items in the same files give the same files
    on every run and runner.

    Args:
        items: path or pattern of files (Parquet, or as their names say JSON lines, CSV, Avro, TFRecord) with
            `item_id` (text or integer) and `embedding` (lists of float16, float32 or float64); on any Beam
            file system (TFRecord: on what TensorFlow reads).
        quantizer: folder of the quantizer, a SavedModel with manifest; on any Beam file system.
        folder: filled with `codes/`, `rejected/` and `report.json`.
        options: for Beam; the runner is the local one unless they name one.
        num_shards: parts of each table; one for each `SHARD_ITEMS` items unless given.
        previous: published output of an earlier run; items whose id and embedding are the same there are
            carried over with their codes and `encoded_at`.
        max_rejected_rate: share of the items that may be rejected, in [0, 1].
        tokenizers: `NAME=FOLDER` each; a column `piece_ids_NAME` for each.
        formats: of `FORMATS`; the codes once more in each.
        afterwards: what follows when Beam returns; by default `report_on`.

    Returns:
        What `afterwards` gives. The report: `input`, `encoded`, `unchanged`, `rejected`,
        `rejected_by_reason`, `levels`, `code_usage`, `unique_rate`, `fingerprint` (`codes_fingerprint`),
        `quantizer` (its fingerprint), `changed` (encoded anew) and `deleted` since the previous run,
        `seconds`. `input` = `encoded` + `unchanged` + `rejected`.

    Raises:
        ArtifactError: the quantizer or the previous output is not complete; the folder has codes or rejected
            already.
        ProvenanceError: the previous output is of another quantizer.
        ConfigError: a number is out of range, or Beam refuses its options.
        DataError: the items cannot be used as a whole, and nothing was written; or all or too many were
            rejected.
    """
    reach_files(options)
    encoded_at = datetime.now(UTC)
    items, folder, path = absolute(items), absolute(str(folder)), absolute(str(quantizer))
    model = open_quantizer(path)
    _check_rate(max_rejected_rate)
    _check_formats(formats)
    pieces = Tokenizers.of(tokenizers, model.code_space, model.fingerprint)
    rows = check_items(items, model)
    num_shards = _num_shards(rows, num_shards)
    earlier = Previous.of(absolute(str(previous)), model) if previous else None
    share_model(path, model.fingerprint, model.module)
    handler = QuantizerHandler(path, model.fingerprint, model.code_space, encoded_at)
    encode = EncodeItems(handler, model.embedding_dim, num_shards, earlier)
    write = WriteDoors(folder, num_shards, pieces, formats)
    _make_folders(folder, formats)
    with elapsed_time(f"encode {rows:,} items"):
        result = run_job(lambda pipeline: _build(pipeline, items, encode, write), options)
    started = Started(items, path, folder, num_shards, rows, max_rejected_rate, encoded_at.isoformat())
    return (afterwards or report_on)(started, model, result)


def report_on(started: Started, model: sid.SavedQuantizer, result: PipelineResult | None) -> dict[str, Any]:
    """Writes the report of a job that is done; without the counters that only a result has, if there is none.

    Raises:
        DataError: the doors do not add up to the input, or too many items were rejected.
    """
    remove_attempts(started.folder)
    with ThreadPoolExecutor(1, "fingerprint") as beside:
        codes = beside.submit(codes_fingerprint, started.folder)
        report = make_report(started.folder, started.num_shards, started.rows, model, started.begun)
        report["fingerprint"] = codes.result()
    if result:
        report.update((name, read_counter(result, name)) for name in ("changed", "deleted"))
    check_rejected_rate(report, started.max_rejected_rate)
    report["seconds"] = started.seconds
    write_json(started.folder, "report.json", report)
    return report


def start_corpus(
    items: str,
    quantizer: str | Path,
    output: str | Path,
    options: PipelineOptions | None = None,
    *settings: Any,
    **more: Any,
) -> None:
    """Like `publish_corpus`, for options that say not to wait: `pipelines.finish` completes the output.

    Raises:
        ArtifactError: `output` exists.
    """
    target = new_output(output, options)
    encode_corpus(items, quantizer, target, options, *settings, **more, afterwards=_keep)


def _keep(started: Started, model: sid.SavedQuantizer, result: PipelineResult) -> dict[str, Any]:
    started.save()
    return {}


def _make_folders(folder: str, formats: Sequence[str]) -> None:
    for door in (ENCODED, REJECTED_DOOR, *(f"{ENCODED}_{kind}" for kind in formats)):
        make_folder(folder, door)


def _num_shards(rows: int, asked: int | None) -> int:
    if asked is not None and asked < 1:
        raise sid.ConfigError(f"num_shards must be at least 1, got {asked}.")
    return asked or math.ceil(rows / SHARD_ITEMS)


def _check_rate(most: float) -> None:
    if not 0 <= most <= 1:
        raise sid.ConfigError(f"max_rejected_rate must be in [0, 1], got {most:g}.")


def _check_formats(formats: Sequence[str]) -> None:
    for kind in formats:
        if kind not in FORMATS:
            raise sid.ConfigError(f"{kind} is no further format; there are {', '.join(FORMATS)}.")


def _build(pipeline: beam.Pipeline, items: str, encode: EncodeItems, write: WriteDoors) -> None:
    pipeline | "Read" >> ReadItems(items) | "Encode" >> encode | "Write" >> write


def codes_fingerprint(folder: str | Path) -> str:
    """Identifies the codes in an output folder, whatever was rejected and whenever they were made."""
    paths = paths_of(str(folder))
    contents = ahead(map(_content, paths))  # opened one by one: all at once may not fit into memory
    return sid.fingerprint(*[lambda: io.BytesIO(next(contents))] * len(paths))


def _content(path: str) -> bytes:
    with open_parquet(path) as parquet:
        return to_bytes(parquet.read([ITEM_ID, CODES, QUANTIZER]), None)


def publish_corpus(
    items: str,
    quantizer: str | Path,
    output: str | Path,
    options: PipelineOptions | None = None,
    *settings: Any,
    **more: Any,
) -> sid.Artifact:
    """Like `encode_corpus`, whose further arguments it takes, but publishes: `output` appears whole, with a
    manifest and `COMPLETED`, or not at all. Elsewhere than on a local disk, it is there once `COMPLETED` is.

    Raises:
        ArtifactError: `output` exists.
    """
    target = new_output(output, options)
    with filling(target) as folder:
        report = encode_corpus(items, quantizer, folder, options, *settings, **more)
        return publish_output(folder, target, manifest_of(items, quantizer, report))


def manifest_of(items: str, quantizer: str | Path, report: dict[str, Any]) -> sid.Manifest:
    """What `manifest.json` says of the encoded items that have this report."""
    parent = sid.open_artifact(near(str(quantizer)), "quantizer")
    matched = match_files(absolute(items))
    files = [[file.path, file.size_in_bytes, file.last_updated_in_seconds] for file in matched]
    space = {name: parent.manifest.config[name] for name in ("num_levels", "codebook_size")}
    return sid.Manifest(
        kind=KIND,
        fingerprint=report["fingerprint"],
        inputs=sid.fingerprint(KIND, parent.fingerprint, files),
        parents={parent.manifest.kind: parent.fingerprint},
        config={"items": items, **space},
        metrics=report,
    )


def _parser() -> JobParser:
    parser = JobParser(
        prog="python -m pipelines.encode",
        description="Encodes a corpus of embeddings into Semantic IDs. Further options are Beam's own.",
        allow_abbrev=False,
    )
    parser.add_argument("--items", required=True, help="path or pattern of files: item_id, embedding")
    parser.add_argument("--quantizer", required=True, help="folder of the quantizer")
    parser.add_argument("--output", required=True, help="folder to make; it must not exist")
    parser.add_argument("--num_shards", type=int, help=f"files a table; default 1 for {SHARD_ITEMS:,} items")
    parser.add_argument("--previous", help="earlier output; its unchanged items are carried over")
    parser.add_argument(
        "--max_rejected_rate", type=float, default=1.0, help="publish nothing if more is rejected; default 1"
    )
    parser.add_argument(
        "--tokenizer",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="adds piece_ids_NAME; repeatable",
    )
    parser.add_argument(
        "--format", action="append", default=[], help="writes the codes also as csv, jsonl, avro or tfrecord"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line.

    Returns:
        Exit status: 0; 2 after a user's mistake, which is said in one line; 130 after Ctrl-C.
    """
    arguments, options = _parser().parse(argv)
    return exit_status(lambda: _run(arguments, options))


def _run(arguments: argparse.Namespace, options: PipelineOptions) -> None:
    waits = not options.view_as(StandardOptions).no_wait_until_finish
    published = (publish_corpus if waits else start_corpus)(
        arguments.items,
        arguments.quantizer,
        arguments.output,
        options,
        arguments.num_shards,
        arguments.previous,
        arguments.max_rejected_rate,
        arguments.tokenizer,
        arguments.format,
    )
    if published:
        tell(arguments.output, published.manifest.metrics)
    else:
        print(f"started; when the job is done: python -m pipelines.finish --output {arguments.output}")


def tell(output: str, report: Mapping[str, Any]) -> None:
    """Prints the figures of a published output."""
    counts = ", ".join(f"{report[door]:,} {door}" for door in ("encoded", "unchanged", "rejected"))
    print(f"{report['input']:,} items: {counts}")
    for reason, count in report["rejected_by_reason"].items():
        if count:
            print(f"  {reason}: {count:,}")
    print(f"{output}: codes, rejected, report.json ({report['seconds']} s)")


if __name__ == "__main__":
    sys.exit(main())
