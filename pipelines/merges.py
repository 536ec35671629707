"""Learns byte-pair merges over the codes of a whole corpus, weighted by interactions.

    python -m pipelines.merges --codes 'codes/*.parquet' --interactions 'interactions/*.parquet' \\
        --num-levels 8 --codebook-size 2048 --num-merges 1000000 --output FOLDER [Beam options]

publishes a tokenizer for `pipelines.encode --tokenizer NAME=FOLDER`: `sentencepiece.model`, as
`semid_tf.tokenizer_of_merges` makes it, and `manifest.json` and `COMPLETED` last. The corpus is read once and
merged anew in each of `--rounds` rounds; only the merges must fit into a worker's memory.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.pvalue import AsSingleton, PCollection

import semid_tf as sid
from pipelines.launch import absolute
from pipelines.outputs import filling, new_output, publish_output
from pipelines.pieces import KIND, SENTENCEPIECE_FILE
from pipelines.running import DEFAULT_RUNNER
from pipelines.schema import CODES, ITEM_ID

_USER_MISTAKE = 2


class LearnMerges(beam.PTransform):
    """(text of codes, count) -> one list of merges, that of `semid_tf.learn_merges`.

    Args:
        num_merges: at most so many.
        merges_per_round: pairs merged at once.
    """

    def __init__(self, num_merges: int, merges_per_round: int) -> None:
        super().__init__()
        self._rounds = sid.merges_by_round(num_merges, merges_per_round)

    def expand(self, corpus: PCollection[tuple[str, int]]) -> PCollection[list[str]]:
        pieces = corpus | "Codes" >> beam.MapTuple(lambda text, count: (tuple(text), count))
        ranks = corpus.pipeline | "NoMerges" >> beam.Create([{}], reshuffle=False)
        for place, number in enumerate(self._rounds):
            ranks = pieces | f"Round{place}" >> _FurtherMerges(ranks, number)
            pieces = pieces | f"Merge{place}" >> beam.Map(_merged, ranks=AsSingleton(ranks))
        return ranks | "InOrder" >> beam.Map(list)


class _FurtherMerges(beam.PTransform):
    """(pieces, count) -> the merges so far and the most frequent pairs of neighbours behind them."""

    def __init__(self, ranks: PCollection[dict[str, int]], number: int) -> None:
        super().__init__()
        self._ranks, self._number = ranks, number

    def expand(self, pieces: PCollection[tuple[tuple[str, ...], int]]) -> PCollection[dict[str, int]]:
        counted = pieces | "Pairs" >> beam.FlatMapTuple(_counted_pairs) | beam.CombinePerKey(sum)
        fresh = counted | beam.combiners.Top.Smallest(self._number, key=sid.by_frequency)
        return self._ranks | "Append" >> beam.Map(_appended, fresh=AsSingleton(fresh))


def _counted_pairs(pieces: tuple[str, ...], count: int) -> Iterator[tuple[str, int]]:
    return ((text, count) for text in sid.neighbour_texts(pieces))


def _merged(weighted: tuple[tuple[str, ...], int], ranks: dict[str, int]) -> tuple[tuple[str, ...], int]:
    pieces, count = weighted
    return sid.merge_pieces(pieces, ranks), count


def _appended(ranks: dict[str, int], fresh: Sequence[tuple[str, int]]) -> dict[str, int]:
    return sid.ranked_merges(ranks, [text for text, _ in fresh])


class CountTexts(beam.PTransform):
    """(codes of items, item ids of interactions) -> (text of codes, count) of the items interacted with."""

    def __init__(self, code_space: sid.CodeSpace) -> None:
        super().__init__()
        self._code_space = code_space

    def expand(self, tables: tuple[PCollection[dict[str, Any]], PCollection[str]]) -> PCollection:
        rows, events = tables
        texts = rows | "Texts" >> beam.Map(_text, self._code_space)
        counts = events | beam.combiners.Count.PerElement()
        met = {"texts": texts, "counts": counts} | beam.CoGroupByKey()
        return met | "Pairs" >> beam.FlatMapTuple(_weighted) | "Total" >> beam.CombinePerKey(sum)


def _text(row: dict[str, Any], code_space: sid.CodeSpace) -> tuple[str, str]:
    codes = np.array([row[CODES]])
    sid.require_codes(codes, code_space)
    return row[ITEM_ID], str(sid.code_texts(codes, code_space)[0])


def _weighted(item_id: str, found: dict[str, Any]) -> Iterator[tuple[str, int]]:
    total = sum(found["counts"])
    return ((text, total) for text in found["texts"] if total)


def learn(arguments: argparse.Namespace, options: PipelineOptions) -> sid.Artifact:
    """Runs the job and publishes the tokenizer.

    Raises:
        ArtifactError: the output exists.
        ConfigError: so many merges or rounds are impossible.
    """
    space = sid.CodeSpace(arguments.num_levels, arguments.codebook_size)
    per_round = -(-arguments.num_merges // max(arguments.rounds, 1))
    sid.require_rounds(space, arguments.num_merges, per_round)
    target = new_output(arguments.output, options)
    with filling(target) as folder:
        merges = FileSystems.join(folder, "merges")
        _run(arguments, options, space, per_round, merges)
        model = sid.tokenizer_of_merges(_take_lines(merges), space).model
        with FileSystems.create(FileSystems.join(folder, SENTENCEPIECE_FILE)) as file:
            file.write(model)
        return publish_output(folder, target, _manifest(arguments, model))


def _take_lines(path: str) -> list[str]:
    with FileSystems.open(path) as file:
        lines = file.read().decode().split("\n")
    FileSystems.delete([path])
    return [line for line in lines if line]


def _manifest(arguments: argparse.Namespace, model: bytes) -> sid.Manifest:
    config = {"num_merges": arguments.num_merges, "rounds": arguments.rounds}
    inputs = sid.fingerprint(KIND, config, arguments.codes, arguments.interactions)
    return sid.Manifest(KIND, sid.fingerprint(model), inputs, config=config)


def _run(
    arguments: argparse.Namespace, options: PipelineOptions, space: sid.CodeSpace, per_round: int, merges: str
) -> None:
    runner = options.view_as(StandardOptions).runner or DEFAULT_RUNNER
    with beam.Pipeline(runner, options) as pipeline:
        rows = pipeline | "Codes" >> beam.io.ReadFromParquet(
            absolute(arguments.codes), columns=[ITEM_ID, CODES]
        )
        events = pipeline | "Interactions" >> beam.io.ReadFromParquet(
            absolute(arguments.interactions), columns=[ITEM_ID]
        )
        corpus = (rows, events | "ItemIds" >> beam.Map(lambda row: row[ITEM_ID])) | CountTexts(space)
        learned = corpus | LearnMerges(arguments.num_merges, per_round)
        lines = learned | "Lines" >> beam.Map("\n".join)
        lines | "Write" >> beam.io.WriteToText(merges, shard_name_template="")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the job."""
    parser = argparse.ArgumentParser("python -m pipelines.merges", description=__doc__)
    for name in ("codes", "interactions", "output"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("num-levels", "codebook-size", "num-merges"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=16)
    own, rest = parser.parse_known_args(arguments)
    try:
        learn(own, PipelineOptions(rest))
        print(own.output)
    except (sid.SemidError, OSError) as error:
        print(f"merges: error: {error}", file=sys.stderr)
        return _USER_MISTAKE
    return 0


if __name__ == "__main__":
    sys.exit(main())
