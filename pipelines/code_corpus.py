"""The weighted code corpus, and a SentencePiece tokenizer trained on it.

    python -m pipelines.code_corpus --codes CODES --interactions 'events/*.parquet' --output FOLDER \\
        --rows 20000 [Beam options]

writes

    corpus/part-00000-of-0000N.tsv    semantic_id, a tab, the number of interactions with its items
    tokenizer/                        a tokenizer artifact, where --rows is given
    report.json, manifest.json, COMPLETED

Without `--interactions` each item counts once. Semantic IDs without interactions are left out; an item of the
tokenizer's figures is a Semantic ID.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PCollection

import semid_tf as sid
from pipelines.codes_files import CodesFiles
from pipelines.counting import count_items, read_counter
from pipelines.duplicates import GroupShards, Shard, partition
from pipelines.flags import JobParser
from pipelines.interactions import ReadInteractions, check_interactions
from pipelines.launch import absolute
from pipelines.outputs import filling, make_folder, new_output, publish_output, put_folder
from pipelines.pieces import KIND as TOKENIZER
from pipelines.pieces import save_tokenizer
from pipelines.publishing import write_json
from pipelines.running import exit_status, run_job
from pipelines.schema import ITEM_ID, SEMANTIC_ID
from pipelines.sinks import WritePart, part_path, remove_attempts

KIND = "code_corpus"
COUNT = "count"
_ITEM_COUNTS = pa.schema([(ITEM_ID, pa.string()), (COUNT, pa.int64())])
_ID_COUNTS = pa.schema([(SEMANTIC_ID, pa.string()), (COUNT, pa.int64())])


class CountCodes(beam.PTransform):
    """Tables of interactions -> (shard, table of `semantic_id` and `count`), each Semantic ID once, sorted.

    Interactions with items that have no codes are left out; the counter `unknown` counts them.

    Args:
        codes: of the items.
    """

    def __init__(self, codes: CodesFiles) -> None:
        super().__init__()
        self._codes = codes
        self._num_shards = len(codes.paths)

    def expand(self, interactions: PCollection[pa.Table]) -> PCollection[Shard]:
        return (
            interactions
            | "CountItems" >> beam.FlatMap(_count_items, self._num_shards).with_output_types(Shard)
            | "GroupItems" >> GroupShards(_ITEM_COUNTS, self._num_shards)
            | "JoinCodes" >> beam.FlatMap(_join_codes, self._codes).with_output_types(Shard)
            | "GroupCodes" >> GroupShards(_ID_COUNTS, self._num_shards)
            | "SumCodes" >> beam.MapTuple(_sum_codes).with_output_types(Shard)
        )


def _count_items(interactions: pa.Table, num_shards: int) -> Iterator[Shard]:
    ones = interactions.select([ITEM_ID]).append_column(COUNT, pa.array(np.ones(len(interactions), np.int64)))
    yield from partition(summed(ones, ITEM_ID), num_shards)


def summed(table: pa.Table, key: str) -> pa.Table:
    """The counts of each text, by text.

    >>> summed(pa.table({"item_id": ["b", "a", "b"], "count": [1, 2, 3]}), "item_id").to_pylist()
    [{'item_id': 'a', 'count': 2}, {'item_id': 'b', 'count': 4}]
    """
    sums = table.group_by(key).aggregate([(COUNT, "sum")]).rename_columns([key, COUNT])
    return sums.sort_by(key)


def _join_codes(element: Shard, codes: CodesFiles) -> Iterator[Shard]:
    """Both sides are sharded by item_id alike."""
    shard, table = element
    counts = summed(table, ITEM_ID)
    known = pa.concat_tables(codes.rows(shard, len(codes.paths), [ITEM_ID, SEMANTIC_ID]))
    places = pc.index_in(counts[ITEM_ID], known[ITEM_ID].combine_chunks())
    found = counts.filter(places.is_valid())
    count_items("unknown", (pc.sum(counts[COUNT]).as_py() or 0) - (pc.sum(found[COUNT]).as_py() or 0))
    texts = known[SEMANTIC_ID].take(places.drop_null())
    id_counts = summed(pa.table([texts, found[COUNT]], _ID_COUNTS), SEMANTIC_ID)
    yield from partition(id_counts, len(codes.paths), SEMANTIC_ID)


def _sum_codes(shard: int, id_counts: pa.Table) -> Shard:
    return shard, summed(id_counts, SEMANTIC_ID)


class OneEach(beam.PTransform):
    """The items themselves as tables with an `item_id`: as if each had been met once."""

    def __init__(self, codes: CodesFiles) -> None:
        super().__init__()
        self._codes = codes

    def expand(self, pbegin: Any) -> PCollection[pa.Table]:
        return (
            pbegin
            | "Shards" >> beam.Create(range(len(self._codes.paths)))
            | "SpreadShards" >> beam.Reshuffle()
            | "ItemIds" >> beam.FlatMap(_item_ids, self._codes).with_output_types(pa.Table)
        )


def _item_ids(shard: int, codes: CodesFiles) -> Iterator[pa.Table]:
    return codes.rows(shard, len(codes.paths), [ITEM_ID])


def make_code_corpus(
    codes: str,
    output: str | Path,
    interactions: str | None = None,
    num_rows: int | None = None,
    model_type: str = "bpe",
    options: PipelineOptions | None = None,
) -> sid.Artifact:
    """Publishes the corpus, and the tokenizer that `semid_tf.train_sentencepiece` makes of it.

    Args:
        codes: published output of `pipelines.encode`.
        output: folder to make, on any Beam file system.
        interactions: path or pattern of Parquet files; None: each item counts once.
        num_rows: rows asked for of the tokenizer; None: no tokenizer.
        model_type: of the tokenizer, `bpe` or `unigram`.
        options: for Beam.

    Raises:
        ArtifactError: the codes are no complete output; `output` exists.
        ConfigError: Beam or SentencePiece refuses its settings.
        DataError: the interactions cannot be read, or none meets an item with codes.
    """
    codes, target = absolute(codes), new_output(output, options)
    found = CodesFiles.open(codes)
    if interactions:
        interactions = absolute(interactions)
        check_interactions(interactions, optional=())
    with filling(target) as folder:
        corpus = make_folder(folder, "corpus")
        report = _count(found, interactions, corpus, options)
        remove_attempts(folder)
        texts, counts = read_corpus(corpus, len(found.paths))
        if not len(texts):
            raise sid.DataError(f"{interactions}: none meets an item of {codes}; at least one must.")
        report |= {"semantic_ids": len(texts), "counted": int(counts.sum())}
        if num_rows:
            place = FileSystems.join(folder, "tokenizer")
            report["tokenizer"] = _train(place, texts, counts, found, num_rows, model_type)
        write_json(folder, "report.json", report)
        fingerprint = sid.fingerprint("\n".join(texts), counts)
        inputs = sid.fingerprint(KIND, found.fingerprint, fingerprint)
        manifest = sid.Manifest(KIND, fingerprint, inputs, found.origins, metrics=report)
        return publish_output(folder, target, manifest)


def _count(
    codes: CodesFiles, interactions: str | None, folder: str, options: PipelineOptions | None
) -> dict[str, Any]:
    source = ReadInteractions(interactions, optional=()) if interactions else OneEach(codes)
    write = beam.ParDo(WritePart({"tsv": folder}, len(codes.paths)))

    def build(pipeline: beam.Pipeline) -> None:
        pipeline | "Read" >> source | "Count" >> CountCodes(codes) | "Write" >> write

    result = run_job(build, options)
    return {name: read_counter(result, name) for name in ("input", "rejected", "unknown")}


def read_corpus(folder: str, num_parts: int) -> tuple[list[str], np.ndarray]:
    """The Semantic IDs of a corpus, by text, and their counts."""
    schema = {SEMANTIC_ID: pa.string(), COUNT: pa.int64()}
    read = pyarrow.csv.ReadOptions(column_names=list(schema))
    parse, convert = pyarrow.csv.ParseOptions(delimiter="\t"), pyarrow.csv.ConvertOptions(column_types=schema)
    tables = [pa.schema(list(schema.items())).empty_table()]
    for part in range(num_parts):
        with FileSystems.open(part_path(folder, part, num_parts, "tsv")) as file:
            content = file.read()
        if content:
            tables.append(pyarrow.csv.read_csv(pa.BufferReader(content), read, parse, convert))
    table = pa.concat_tables(tables).sort_by(SEMANTIC_ID)
    return table[SEMANTIC_ID].to_pylist(), table[COUNT].to_numpy()


def _train(
    folder: str, texts: list[str], counts: np.ndarray, codes: CodesFiles, num_rows: int, model_type: str
) -> dict[str, Any]:
    rows = sid.parse_semantic_ids(texts, codes.space)
    tokenizer = sid.train_sentencepiece(rows, counts, codes.space, num_rows, model_type)
    figures = sid.vocabulary_report(tokenizer, num_rows, rows, counts)._asdict()
    fingerprint = sid.fingerprint(tokenizer.model)
    config = {"num_rows": num_rows, "model_type": model_type}
    inputs = sid.fingerprint(TOKENIZER, config, codes.fingerprint)
    manifest = sid.Manifest(TOKENIZER, fingerprint, inputs, codes.origins, config, figures)
    with tempfile.TemporaryDirectory() as place, sid.staging(place) as staged:
        save_tokenizer(tokenizer, staged)
        put_folder(sid.publish(staged, Path(place) / "tokenizer", manifest).path, folder)
    return figures


def _parser() -> JobParser:
    parser = JobParser(
        prog="python -m pipelines.code_corpus",
        description="Counts Semantic IDs and trains SentencePiece on them. Further options are Beam's own.",
        allow_abbrev=False,
    )
    parser.add_argument("--codes", required=True, help="output of pipelines.encode")
    parser.add_argument("--interactions", help="path or pattern of files: user_id, item_id, timestamp")
    parser.add_argument("--output", required=True, help="folder to make; it must not exist")
    parser.add_argument("--rows", type=int, help="rows of the tokenizer's table; none: only the corpus")
    parser.add_argument("--model_type", choices=["bpe", "unigram"], default="bpe")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit status as `pipelines.running.exit_status`."""
    arguments, options = _parser().parse(argv)

    def job() -> None:
        artifact = make_code_corpus(
            arguments.codes,
            arguments.output,
            arguments.interactions,
            arguments.rows,
            arguments.model_type,
            options,
        )
        figures = artifact.manifest.metrics
        found = f"{figures['semantic_ids']:,} Semantic IDs, counted {figures['counted']:,} times"
        print(f"{found}: {arguments.output}")

    return exit_status(job)


if __name__ == "__main__":
    sys.exit(main())
