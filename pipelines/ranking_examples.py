"""Ranking examples: interactions joined with codes and with the history before them.

    python -m pipelines.ranking_examples --codes CODES --interactions 'events/*.parquet' --output FOLDER \\
        --history_length 50 [Beam options]

writes

    examples/part-00000-of-0000N.tfrecord    `pipelines.example_files` says what is in them
    report.json, manifest.json, COMPLETED

Each interaction with an item that has codes is one example. A history holds positive events strictly before
it (an earlier timestamp, or the same and an earlier position), never later ones. No negatives are drawn:
without a column `label` every example is positive, and nothing can be learned from them alone.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import PCollection

import semid_tf as sid
from pipelines.codes_files import CodesFiles
from pipelines.counting import count_items, read_counter
from pipelines.duplicates import GroupShards, Shard, partition
from pipelines.flags import JobParser
from pipelines.interactions import (
    INTERACTIONS,
    LABEL,
    POSITION,
    TIMESTAMP,
    USER_ID,
    ReadInteractions,
    check_interactions,
)
from pipelines.launch import absolute
from pipelines.outputs import files_of, filling, fingerprint_of, make_folder, new_output, publish_output
from pipelines.publishing import write_json
from pipelines.running import exit_status, run_job
from pipelines.schema import CODES, ITEM_ID, ROW, SOURCE, matrix, one_array, vectors
from pipelines.sinks import WritePart, remove_attempts

KIND = "ranking_examples"
HISTORY_ITEM_IDS, HISTORY_CODES = "history_item_ids", "history_codes"
#: Events a shard where the number of shards is not given.
SHARD_EVENTS = 200_000
_ORDER = [USER_ID, TIMESTAMP, POSITION, SOURCE, ROW]


class MakeExamples(beam.PTransform):
    """Tables of `INTERACTIONS` -> (shard, table of examples), all examples of a user in one shard, by time.

    Interactions with items that have no codes are left out; the counter `unknown` counts them.

    Args:
        codes: of the items.
        history_length: most events of a history.
        num_shards: of the examples; the events of a shard must fit into a worker's memory.
    """

    def __init__(self, codes: CodesFiles, history_length: int, num_shards: int) -> None:
        super().__init__()
        self._codes = codes
        self._history_length = history_length
        self._num_shards = num_shards

    def expand(self, interactions: PCollection[pa.Table]) -> PCollection[Shard]:
        parts, space = len(self._codes.paths), self._codes.space
        return (
            interactions
            | "ByItem" >> beam.FlatMap(partition, parts).with_output_types(Shard)
            | "GroupItems" >> GroupShards(INTERACTIONS, parts)
            | "JoinCodes" >> beam.FlatMap(_join_codes, self._codes, self._num_shards).with_output_types(Shard)
            | "GroupUsers" >> GroupShards(_events_schema(space.num_levels), self._num_shards)
            | "AddHistory" >> beam.Map(_examples, self._history_length).with_output_types(Shard)
        )


def _events_schema(num_levels: int) -> pa.Schema:
    return INTERACTIONS.append(pa.field(CODES, pa.list_(pa.int32(), num_levels)))


def _join_codes(element: Shard, codes: CodesFiles, num_shards: int) -> Iterator[Shard]:
    """Interactions and codes are sharded by item_id alike; what leaves is sharded by user_id."""
    shard, events = element
    known = pa.concat_tables(codes.rows(shard, len(codes.paths), [ITEM_ID, CODES]))
    places = pc.index_in(events[ITEM_ID], one_array(known[ITEM_ID]))
    found = events.filter(places.is_valid()).unify_dictionaries()
    count_items("unknown", len(events) - len(found))
    levels = codes.space.num_levels
    rows = one_array(known[CODES]).flatten().to_numpy().reshape(-1, levels)
    table = found.append_column(
        _events_schema(levels).field(CODES), vectors(rows[places.drop_null().to_numpy()])
    )
    yield from partition(table, num_shards, USER_ID)


def _examples(element: Shard, history_length: int) -> Shard:
    shard, events = element
    return shard, with_histories(events, history_length)


def with_histories(events: pa.Table, history_length: int) -> pa.Table:
    """One example for each event, by user and time.

    Args:
        events: `INTERACTIONS` and `codes`; all events of each of their users.
        history_length: most events of a history.
    """
    events = _in_order(events)
    length = len(events)
    rows = sid.histories(
        one_array(events[USER_ID]).dictionary_encode().indices.to_numpy(),
        np.arange(1, length + 1, dtype=np.int32),  # an event is its own row here
        events[TIMESTAMP].to_numpy(),
        events[POSITION].to_numpy(),
        events[LABEL].to_numpy() == 1,
        np.arange(length),
        history_length,
    )
    places = rows[rows > 0] - 1
    ends = np.cumsum((rows > 0).sum(axis=1))
    codes = matrix(events[CODES])
    columns = {
        USER_ID: events[USER_ID],
        TIMESTAMP: events[TIMESTAMP],
        ITEM_ID: events[ITEM_ID],
        CODES: events[CODES],
        LABEL: events[LABEL],
        HISTORY_ITEM_IDS: _lists(ends, one_array(events[ITEM_ID]).take(pa.array(places))),
        HISTORY_CODES: _lists(ends * codes.shape[1], pa.array(codes[places].ravel())),
    }
    return pa.table(columns)


def _in_order(events: pa.Table) -> pa.Table:
    keys = {name: events[name].cast(pa.string()) if name == SOURCE else events[name] for name in _ORDER}
    return events.take(pc.sort_indices(pa.table(keys), [(name, "ascending") for name in _ORDER]))


def _lists(ends: np.ndarray, values: pa.Array) -> pa.Array:
    return pa.LargeListArray.from_arrays(pa.array(np.concatenate([[0], ends])), values)


def make_ranking_examples(
    codes: str,
    interactions: str,
    output: str | Path,
    history_length: int = 50,
    num_shards: int | None = None,
    options: PipelineOptions | None = None,
) -> sid.Artifact:
    """Publishes the examples.

    Args:
        codes: published output of `pipelines.encode`.
        interactions: path or pattern of Parquet files, see `semid_tf.read_interactions`.
        output: folder to make, on any Beam file system.
        history_length: most events of a history, at least 1.
        num_shards: files; one for each `SHARD_EVENTS` interactions unless given.
        options: for Beam.

    Raises:
        ArtifactError: the codes are no complete output; `output` exists.
        ConfigError: a number is out of range, or Beam refuses its options.
        DataError: the interactions cannot be read, none has an item with codes, or some were lost.
    """
    for name, number in (("history_length", history_length), ("num_shards", num_shards)):
        if number is not None and number < 1:
            raise sid.ConfigError(f"{name} must be at least 1, got {number}.")
    interactions, target = absolute(interactions), new_output(output, options)
    found = CodesFiles.open(absolute(codes))
    num_shards = num_shards or max(1, math.ceil(check_interactions(interactions) / SHARD_EVENTS))
    with filling(target) as folder:
        examples = make_folder(folder, "examples")
        make = MakeExamples(found, history_length, num_shards)
        report = _run(interactions, make, examples, num_shards, options)
        remove_attempts(folder)
        write_json(folder, "report.json", report)
        config = {"history_length": history_length, "num_levels": found.space.num_levels}
        inputs = sid.fingerprint(KIND, config, found.origins, interactions)
        fingerprint = fingerprint_of(files_of(examples))
        manifest = sid.Manifest(KIND, fingerprint, inputs, found.origins, config, report)
        return publish_output(folder, target, manifest)


def _run(
    interactions: str, make: MakeExamples, folder: str, num_shards: int, options: PipelineOptions | None
) -> dict[str, int]:
    def build(pipeline: beam.Pipeline) -> None:
        examples = pipeline | "Read" >> ReadInteractions(interactions) | "MakeExamples" >> make
        examples | "Count" >> beam.MapTuple(lambda _, table: count_items("examples", len(table)))
        examples | "Write" >> beam.ParDo(WritePart({"tfrecord": folder}, num_shards))

    result = run_job(build, options)
    report = {name: read_counter(result, name) for name in ("input", "rejected", "unknown", "examples")}
    if report["input"] != report["rejected"] + report["unknown"] + report["examples"]:
        raise sid.DataError(
            f"the counts do not add up ({report}); the files must not change while the job runs."
        )
    if not report["examples"]:
        raise sid.DataError(f"{interactions}: no interaction names an item with codes; at least one must.")
    return report


def _parser() -> JobParser:
    parser = JobParser(
        prog="python -m pipelines.ranking_examples",
        description="Joins interactions with codes and histories. Further options are Beam's own.",
        allow_abbrev=False,
    )
    parser.add_argument("--codes", required=True, help="output of pipelines.encode")
    parser.add_argument("--interactions", required=True, help="path or pattern of Parquet files")
    parser.add_argument("--output", required=True, help="folder to make; it must not exist")
    parser.add_argument("--history_length", type=int, default=50, help="most events of a history; default 50")
    parser.add_argument("--num_shards", type=int, help=f"files; default 1 for {SHARD_EVENTS:,} interactions")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit status as `pipelines.running.exit_status`."""
    arguments, options = _parser().parse(argv)

    def job() -> None:
        artifact = make_ranking_examples(
            arguments.codes,
            arguments.interactions,
            arguments.output,
            arguments.history_length,
            arguments.num_shards,
            options,
        )
        print(", ".join(f"{count:,} {name}" for name, count in artifact.manifest.metrics.items()))
        print(f"{arguments.output}: examples, report.json")

    return exit_status(job)


if __name__ == "__main__":
    sys.exit(main())
