"""Learns byte-pair merges over the codes of a whole corpus, weighted by interactions.

    python -m pipelines.merges --codes CODES --interactions 'events/*.parquet' --num-merges 1000000 \\
        --output FOLDER [Beam options]

publishes a tokenizer for `pipelines.encode --tokenizer NAME=FOLDER`: `sentencepiece.model`, as
`semid_tf.tokenizer_of_merges` makes it, and `manifest.json` and `COMPLETED` last. The corpus is read once and
merged anew in each of `--rounds` rounds; only the merges must fit into a worker's memory. An item of the
figures in the manifest is a Semantic ID that was met.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsSingleton, PCollection

import semid_tf as sid
from pipelines.code_corpus import COUNT, CountCodes
from pipelines.codes_files import CodesFiles
from pipelines.counting import read_counter
from pipelines.duplicates import Shard
from pipelines.flags import JobParser
from pipelines.interactions import ReadInteractions, check_interactions
from pipelines.launch import absolute
from pipelines.outputs import filling, new_output, publish_output
from pipelines.pieces import KIND, SENTENCEPIECE_FILE
from pipelines.running import exit_status, run_job
from pipelines.schema import SEMANTIC_ID

MERGES, KINDS = "merges", "kinds"
Weighted = tuple[tuple[str, ...], int]


class LearnMerges(beam.PTransform):
    """(text of codes, count) -> `MERGES`, those of `semid_tf.learn_merges`: one dict of text -> rank; and
    `KINDS`: one list of ((count, number of pieces), texts that have as many of both).

    Args:
        num_merges: at most so many.
        merges_per_round: pairs merged at once.
    """

    def __init__(self, num_merges: int, merges_per_round: int) -> None:
        super().__init__()
        self._rounds = sid.merges_by_round(num_merges, merges_per_round)

    def expand(self, corpus: PCollection[tuple[str, int]]) -> dict[str, PCollection]:
        pieces = corpus | "Codes" >> beam.MapTuple(lambda text, count: (tuple(text), count))
        ranks = corpus.pipeline | "NoMerges" >> beam.Create([{}], reshuffle=False)
        for place, number in enumerate(self._rounds):
            ranks = pieces | f"Round{place}" >> _FurtherMerges(ranks, number)
            pieces = pieces | f"Merge{place}" >> beam.Map(_merged, ranks=AsSingleton(ranks))
        kinds = pieces | "Kind" >> beam.MapTuple(lambda pieces, count: (count, len(pieces)))
        numbers = kinds | "Count" >> beam.combiners.Count.PerElement() | "All" >> beam.combiners.ToList()
        return {MERGES: ranks, KINDS: numbers}


class _FurtherMerges(beam.PTransform):
    """(pieces, count) -> the merges so far and the most frequent pairs of neighbours behind them."""

    def __init__(self, ranks: PCollection[dict[str, int]], number: int) -> None:
        super().__init__()
        self._ranks, self._number = ranks, number

    def expand(self, pieces: PCollection[Weighted]) -> PCollection[dict[str, int]]:
        counted = pieces | "Pairs" >> beam.FlatMapTuple(_counted_pairs) | beam.CombinePerKey(sum)
        fresh = counted | beam.combiners.Top.Smallest(self._number, key=sid.by_frequency)
        return self._ranks | "Append" >> beam.Map(_appended, fresh=AsSingleton(fresh))


def _counted_pairs(pieces: tuple[str, ...], count: int) -> Iterator[tuple[str, int]]:
    return ((text, count) for text in sid.neighbour_texts(pieces))


def _merged(weighted: Weighted, ranks: dict[str, int]) -> Weighted:
    pieces, count = weighted
    return sid.merge_pieces(pieces, ranks), count


def _appended(ranks: dict[str, int], fresh: Sequence[tuple[str, int]]) -> dict[str, int]:
    return sid.ranked_merges(ranks, [text for text, _ in fresh])


def learn(arguments: argparse.Namespace, options: PipelineOptions) -> sid.Artifact:
    """Runs the job and publishes the tokenizer.

    Raises:
        ArtifactError: the codes are no complete output; the output exists.
        ConfigError: so many merges or rounds are impossible, or Beam refuses its options.
        DataError: the interactions cannot be read, or none meets an item with codes.
    """
    target = new_output(arguments.output, options)
    codes = CodesFiles.open(absolute(arguments.codes))
    per_round = -(-arguments.num_merges // max(arguments.rounds, 1))
    sid.require_rounds(codes.space, arguments.num_merges, per_round)
    interactions = absolute(arguments.interactions)
    check_interactions(interactions, optional=())
    with filling(target) as folder:
        report = _run(codes, interactions, LearnMerges(arguments.num_merges, per_round), folder, options)
        tokenizer = sid.tokenizer_of_merges(list(_take_json(folder, MERGES)), codes.space)
        figures = _figures(arguments.num_merges, tokenizer, sorted(_take_json(folder, KINDS)))
        with FileSystems.create(FileSystems.join(folder, SENTENCEPIECE_FILE)) as file:
            file.write(tokenizer.model)
        return publish_output(folder, target, _manifest(arguments, codes, tokenizer, report | figures))


def _run(
    codes: CodesFiles,
    interactions: str,
    learn_merges: LearnMerges,
    folder: str,
    options: PipelineOptions,
) -> dict[str, int]:
    def build(pipeline: beam.Pipeline) -> None:
        counted = (
            pipeline | "Read" >> ReadInteractions(interactions, optional=()) | "Count" >> CountCodes(codes)
        )
        learned = counted | "Texts" >> beam.FlatMap(_texts, codes.space) | learn_merges
        learned[MERGES] | "WriteMerges" >> _write_json(folder, MERGES)
        learned[KINDS] | "WriteKinds" >> _write_json(folder, KINDS)

    result = run_job(build, options)
    return {name: read_counter(result, name) for name in ("input", "rejected", "unknown")}


def _texts(element: Shard, code_space: sid.CodeSpace) -> Iterator[tuple[str, int]]:
    _, id_counts = element
    codes = sid.parse_semantic_ids(id_counts[SEMANTIC_ID].to_pylist(), code_space)
    return zip(sid.code_texts(codes, code_space).tolist(), id_counts[COUNT].to_pylist(), strict=True)


def _write_json(folder: str, name: str) -> beam.PTransform:
    """Writes the one element that there is."""
    return beam.Map(json.dumps) | beam.io.WriteToText(FileSystems.join(folder, name), shard_name_template="")


def _take_json(folder: str, name: str) -> Any:
    path = FileSystems.join(folder, name)
    with FileSystems.open(path) as file:
        found = json.load(file)
    FileSystems.delete([path])
    return found


def _figures(
    num_merges: int, tokenizer: sid.Tokenizer, kinds: Sequence[tuple[tuple[int, int], int]]
) -> dict[str, Any]:
    """From the kinds of Semantic IDs, see `LearnMerges`."""
    if not kinds:
        raise sid.DataError("no interaction meets an item with codes; at least one must.")
    counts, pieces = np.array([kind for kind, _ in kinds]).T
    numbers = np.array([number for _, number in kinds])
    asked = num_merges + 2 + tokenizer.code_space.num_codes
    report = sid.report_of_pieces(asked, tokenizer.num_rows, pieces, counts, numbers)
    return {"semantic_ids": int(numbers.sum()), "counted": int((counts * numbers).sum())} | report._asdict()


def _manifest(
    arguments: argparse.Namespace,
    codes: CodesFiles,
    tokenizer: sid.SentencePieceTokenizer,
    figures: dict[str, Any],
) -> sid.Manifest:
    config = {"num_merges": arguments.num_merges, "rounds": arguments.rounds}
    inputs = sid.fingerprint(KIND, config, codes.origins, absolute(arguments.interactions))
    return sid.Manifest(KIND, sid.fingerprint(tokenizer.model), inputs, codes.origins, config, figures)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit status as `pipelines.running.exit_status`."""
    parser = JobParser("python -m pipelines.merges", description=__doc__)
    parser.add_argument("--codes", required=True, help="output of pipelines.encode")
    parser.add_argument("--interactions", required=True, help="path or pattern: user_id, item_id, timestamp")
    parser.add_argument("--output", required=True, help="folder to make; it must not exist")
    parser.add_argument("--num-merges", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=16)
    own, options = parser.parse(arguments)

    def job() -> None:
        artifact = learn(own, options)
        figures = artifact.manifest.metrics
        mean = figures["mean_pieces_per_interaction"]
        print(f"{figures['rows']:,} rows, {mean:.2f} pieces an interaction: {own.output}")

    return exit_status(job)


if __name__ == "__main__":
    sys.exit(main())
