"""What the codes of a catalogue look like, and how they moved since an earlier run.

    python -m pipelines.statistics --codes CODES [--previous CODES] --output FOLDER [Beam options]

writes `statistics.json`, and `manifest.json` and `COMPLETED` last:

    items, semantic_ids, unique_rate, colliding_items
    code_usage, perplexity         of each level
    collisions                     how many Semantic IDs have 1, 2, ... items
    largest                        the Semantic IDs with most items, with the first of their items
    drift                          against the earlier run, see `Drift`
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PCollection

import semid_tf as sid
from pipelines.codes_files import CodesFiles, codes_of
from pipelines.duplicates import GroupShards, Shard, partition
from pipelines.flags import JobParser
from pipelines.launch import absolute
from pipelines.outputs import filling, new_output, publish_output
from pipelines.publishing import write_json, write_text
from pipelines.running import exit_status, run_job
from pipelines.schema import CODES, ITEM_ID, SEMANTIC_ID, one_array

KIND = "statistics"
LARGEST, EXAMPLES = 100, 5
_IDS = pa.schema([(SEMANTIC_ID, pa.string()), (ITEM_ID, pa.string())])


class Groups(NamedTuple):
    """Items by their Semantic ID.

    Attributes:
        collisions: number of items -> how many Semantic IDs have so many.
        largest: (items, semantic_id, first item_ids), largest first, equal ones by text.
    """

    collisions: Counter[int]
    largest: list[tuple[int, str, list[str]]]


class Drift(NamedTuple):
    """Counts of items, now against before.

    Attributes:
        before: items of the earlier run.
        kept: those of them that are still there.
        new: items that were not there.
        same_prefix: int64 [num_levels], kept items whose first 1, 2, ... codes are the same.
    """

    before: int
    kept: int
    new: int
    same_prefix: np.ndarray


def groups_of(ids: pa.Table) -> Groups:
    """The groups of a table of `semantic_id` and `item_id` that holds all items of its Semantic IDs."""
    ordered = ids.sort_by([(SEMANTIC_ID, "ascending"), (ITEM_ID, "ascending")])
    texts = one_array(ordered[SEMANTIC_ID])
    starts = np.flatnonzero(np.asarray(pc.not_equal(texts[1:], texts[:-1]))) + 1
    starts = np.concatenate([np.zeros(min(len(texts), 1), np.int64), starts])
    sizes = np.diff(np.append(starts, len(texts)))
    largest = np.argsort(-sizes, kind="stable")[:LARGEST]
    return Groups(
        Counter(dict(zip(*(part.tolist() for part in np.unique(sizes, return_counts=True)), strict=True))),
        [_group(ordered, int(starts[place]), int(sizes[place])) for place in largest],
    )


def _group(ordered: pa.Table, start: int, size: int) -> tuple[int, str, list[str]]:
    rows = ordered.slice(start, min(size, EXAMPLES))
    return size, rows[SEMANTIC_ID][0].as_py(), rows[ITEM_ID].to_pylist()


def merge_groups(parts: Iterable[Groups]) -> Groups:
    """Groups of different Semantic IDs together."""
    collisions: Counter[int] = Counter()
    largest: list[tuple[int, str, list[str]]] = []
    for part in parts:
        collisions.update(part.collisions)
        largest = sorted([*largest, *part.largest], key=lambda group: (-group[0], group[1]))[:LARGEST]
    return Groups(collisions, largest)


def drift_of(now: pa.Table, before: pa.Table, num_levels: int) -> Drift:
    """Compares the `item_id` and `codes` of the same shard in two runs."""
    places = pc.index_in(now[ITEM_ID], one_array(before[ITEM_ID]))
    codes, kept = codes_of(now, num_levels), np.asarray(places.is_valid())
    same = codes[kept] == codes_of(before, num_levels)[places.drop_null().to_numpy()]
    same_prefix = np.logical_and.accumulate(same, axis=1).sum(axis=0)
    return Drift(len(before), int(kept.sum()), int((~kept).sum()), same_prefix)


def merge_drifts(parts: Iterable[Drift]) -> Drift:
    """The sums."""
    before, kept, new, same_prefix = zip(*parts, strict=True)
    return Drift(sum(before), sum(kept), sum(new), np.sum(same_prefix, axis=0))


class Describe(beam.PTransform):
    """The numbers of shards -> `counts` (int64 [num_levels, largest codebook]), `groups`, and `drift`.

    Args:
        codes: to describe.
        previous: to compare them with; without it there is no `drift`.
    """

    def __init__(self, codes: CodesFiles, previous: CodesFiles | None) -> None:
        super().__init__()
        self._codes = codes
        self._previous = previous

    def expand(self, shards: PCollection[int]) -> dict[str, PCollection]:
        num_shards = len(self._codes.paths)
        counts = shards | "CountCodes" >> beam.Map(_counts, self._codes)
        groups = (
            shards
            | "ReadIds" >> beam.FlatMap(_ids, self._codes).with_output_types(Shard)
            | "GroupIds" >> GroupShards(_IDS, num_shards)
            | "Groups" >> beam.MapTuple(lambda _, ids: groups_of(ids))
        )
        found = {
            "counts": counts | "SumCounts" >> beam.CombineGlobally(sum),
            "groups": groups | "MergeGroups" >> beam.CombineGlobally(_Merge(merge_groups)),
        }
        if self._previous:
            drift = shards | "Compare" >> beam.Map(_drift, self._codes, self._previous)
            found["drift"] = drift | "SumDrift" >> beam.CombineGlobally(_Merge(merge_drifts))
        return found


class _Merge(beam.CombineFn):
    """Merges parts as they come."""

    def __init__(self, merge: Any) -> None:
        super().__init__()
        self._merge = merge

    def create_accumulator(self) -> list[Any]:
        return []

    def add_input(self, parts: list[Any], part: Any) -> list[Any]:
        return [self._merge([*parts, part])]

    def merge_accumulators(self, accumulators: Iterable[list[Any]]) -> list[Any]:
        parts = [part for accumulator in accumulators for part in accumulator]
        return [self._merge(parts)] if parts else []

    def extract_output(self, parts: list[Any]) -> Any:
        return parts[0]


def _counts(shard: int, codes: CodesFiles) -> np.ndarray:
    table = pa.concat_tables(codes.rows(shard, len(codes.paths), [ITEM_ID, CODES]))
    return sid.code_counts(codes_of(table, codes.space.num_levels), codes.space)


def _ids(shard: int, codes: CodesFiles) -> Iterator[Shard]:
    for table in codes.rows(shard, len(codes.paths), [SEMANTIC_ID, ITEM_ID]):
        yield from partition(table, len(codes.paths), SEMANTIC_ID)


def _drift(shard: int, codes: CodesFiles, previous: CodesFiles) -> Drift:
    now, before = (
        pa.concat_tables(it.rows(shard, len(codes.paths), [ITEM_ID, CODES])) for it in (codes, previous)
    )
    return drift_of(now, before, codes.space.num_levels)


def make_statistics(
    codes: str, output: str | Path, previous: str | None = None, options: PipelineOptions | None = None
) -> sid.Artifact:
    """Publishes the statistics; they also are the metrics of the manifest.

    Args:
        codes: published output of `pipelines.encode`.
        output: folder to make, on any Beam file system.
        previous: an earlier output, to tell the drift.
        options: for Beam.

    Raises:
        ArtifactError: an output is incomplete; `output` exists.
        ProvenanceError: the earlier output has another code space.
        ConfigError: Beam refuses its options.
    """
    target = new_output(output, options)
    found = CodesFiles.open(absolute(codes))
    earlier = CodesFiles.open(absolute(previous)) if previous else None
    if earlier and earlier.space != found.space:
        raise sid.ProvenanceError(f"{previous} has codes in {earlier.space}, but {codes} in {found.space}.")
    with filling(target) as folder:
        statistics = _statistics(found, _run(found, earlier, folder, options))
        write_json(folder, "statistics.json", statistics)
        fingerprint = sid.fingerprint(statistics)
        inputs = sid.fingerprint(KIND, found.origins, earlier.fingerprint if earlier else None)
        manifest = sid.Manifest(KIND, fingerprint, inputs, found.origins, metrics=statistics)
        return publish_output(folder, target, manifest)


def _run(
    codes: CodesFiles, previous: CodesFiles | None, folder: str, options: PipelineOptions | None
) -> dict[str, Any]:
    paths: dict[str, str] = {}

    def build(pipeline: beam.Pipeline) -> None:
        shards = pipeline | beam.Create(range(len(codes.paths))) | "Spread" >> beam.Reshuffle()
        for name, value in (shards | Describe(codes, previous)).items():
            paths[name] = FileSystems.join(folder, f"{name}.json")
            value | f"Write_{name}" >> beam.Map(_write, folder, f"{name}.json")

    run_job(build, options)
    return {name: _take(path) for name, path in paths.items()}


def _write(value: Any, folder: str, name: str) -> None:
    write_text(folder, name, json.dumps(value, default=lambda it: it.tolist()))


def _take(path: str) -> Any:
    with FileSystems.open(path) as file:
        value = json.loads(file.read())
    FileSystems.delete([path])
    return value


def _statistics(codes: CodesFiles, made: dict[str, Any]) -> dict[str, Any]:
    counts = np.array(made["counts"])
    collisions, largest = made["groups"]
    sizes = {int(size): number for size, number in collisions.items()}
    items, different = int(counts[0].sum()), sum(sizes.values())
    return {
        "items": items,
        "semantic_ids": different,
        "unique_rate": different / items if items else 0.0,
        "colliding_items": items - sizes.get(1, 0),
        "code_usage": ((counts > 0).sum(axis=1) / codes.space.codebook_sizes).tolist(),
        "perplexity": sid.perplexity_of_counts(counts).tolist(),
        "collisions": [{"items": size, "semantic_ids": sizes[size]} for size in sorted(sizes)],
        "largest": [{"semantic_id": text, "items": size, "first": first} for size, text, first in largest],
        "drift": _told(Drift(*made["drift"])) if "drift" in made else None,
    }


def _told(drift: Drift) -> dict[str, Any]:
    kept = max(drift.kept, 1)
    return {
        "before": drift.before,
        "kept": drift.kept,
        "new": drift.new,
        "gone": drift.before - drift.kept,
        "same_prefix_rate": [float(count / kept) for count in drift.same_prefix],
    }


def _parser() -> JobParser:
    parser = JobParser(
        prog="python -m pipelines.statistics",
        description="Describes the codes of a catalogue. Further options are Beam's own.",
        allow_abbrev=False,
    )
    parser.add_argument("--codes", required=True, help="output of pipelines.encode")
    parser.add_argument("--previous", help="an earlier output, to tell the drift")
    parser.add_argument("--output", required=True, help="folder to make; it must not exist")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit status as `pipelines.running.exit_status`."""
    arguments, options = _parser().parse(argv)

    def job() -> None:
        artifact = make_statistics(arguments.codes, arguments.output, arguments.previous, options)
        found = artifact.manifest.metrics
        print(f"{found['items']:,} items, {found['semantic_ids']:,} Semantic IDs: {arguments.output}")

    return exit_status(job)


if __name__ == "__main__":
    sys.exit(main())
