"""One more code for each item, so that no two items have the same Semantic ID (Rajput et al. 2023, sec. 3.1).

    python -m pipelines.collision_tokens --codes CODES [--previous TOKENS] --num_tokens 256 --output FOLDER \\
        [Beam options]

writes

    codes/       as `pipelines.encode` does, with one code more in `codes` and `semantic_id`
    retired/     items that are gone, as they were published: what was given to them is not given again
    report.json, manifest.json, COMPLETED

The tokens are those of `semid_tf.add_collision_tokens`. `--previous` names the earlier output of this job:
items of it keep their Semantic ID, also where their embedding has changed since (`outdated` counts these), or
where they were gone and came back. The same items get the same tokens in any order and any number of shards.
Other jobs over published codes take the output as they take that of `pipelines.encode`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import DoOutputsTuple, PCollection, TaggedOutput

import semid_tf as sid
from pipelines.codes_files import KIND, CodesFiles, codes_of, paths_of, rows_of
from pipelines.counting import count_items, read_counter
from pipelines.duplicates import GroupParts, GroupShards, Shard, partition
from pipelines.encode import codes_fingerprint
from pipelines.flags import JobParser
from pipelines.launch import absolute
from pipelines.outputs import filling, make_folder, new_output, publish_output
from pipelines.publishing import write_json
from pipelines.running import exit_status, run_job
from pipelines.schema import CODES, CODES_FILE, ITEM_ID, SEMANTIC_ID, matrix, one_array, vectors
from pipelines.sinks import WritePart, remove_attempts, semantic_ids

RETIRED = "retired"
_TOKEN = "token"
_TOKENS = pa.schema([(ITEM_ID, pa.string()), (_TOKEN, pa.int32())])
_COUNTERS = ("kept", "new", "outdated", "retired")


class Standing(NamedTuple):
    """The items of a shard.

    Attributes:
        now: encoded ones, in the columns asked for.
        before: published ones, retired or not; with tokens.
        encoded: codes of `now`, int32 [now, num_levels].
        published: codes of `before`, int32 [before, num_levels + 1].
        places: int [now], the row of `before`; -1 for new items.
    """

    now: pa.Table
    before: pa.Table
    encoded: np.ndarray
    published: np.ndarray
    places: np.ndarray


@dataclass(frozen=True)
class TokenFiles:
    """What a run reads.

    Attributes:
        codes: of the quantizer.
        previous: of an earlier run, with tokens.
        retired: files of the items that were gone then.
    """

    codes: CodesFiles
    previous: CodesFiles | None
    retired: tuple[str, ...] = ()

    @classmethod
    def open(cls, codes: str, previous: str | None, num_tokens: int) -> TokenFiles:
        """Opens both outputs.

        Raises:
            ArtifactError: one is not complete.
            ConfigError: there are fewer tokens than before, or none.
            ProvenanceError: the earlier output is no output of this job over codes of this quantizer.
        """
        found = CodesFiles.open(absolute(codes))
        if num_tokens < 1:
            raise sid.ConfigError(f"num_tokens must be at least 1, got {num_tokens}.")
        if not previous:
            return cls(found, None)
        earlier = CodesFiles.open(absolute(previous))
        *sizes, tokens = earlier.space.codebook_sizes
        if tuple(sizes) != found.space.codebook_sizes or _quantizer(earlier) != _quantizer(found):
            raise sid.ProvenanceError(
                f"{previous} has no collision tokens over codes of the quantizer of {codes}; give an output "
                "of this job over such codes."
            )
        if num_tokens < tokens:
            raise sid.ConfigError(
                f"num_tokens must be at least {tokens}, as in {previous}; got {num_tokens}."
            )
        return cls(found, earlier, paths_of(earlier.folder, RETIRED))

    @property
    def num_shards(self) -> int:
        """Of the codes, and of what is made."""
        return len(self.codes.paths)

    def standing(self, shard: int, columns: list[str]) -> Standing:
        """The items of a shard; `item_id` and `codes` are among the columns."""
        parts = (self.codes.paths, self.previous.paths if self.previous else (), self.retired)
        now, *before = (pa.concat_tables(rows_of(paths, shard, self.num_shards, columns)) for paths in parts)
        published, levels = pa.concat_tables(before), self.codes.space.num_levels
        codes, tokened = codes_of(now, levels), codes_of(published, levels + 1)
        return Standing(now, published, codes, tokened, _rows(now, published).fill_null(-1).to_numpy())


def _rows(items: pa.Table, among: pa.Table) -> pa.ChunkedArray:
    """The row of each item, null where it is not there."""
    return pc.index_in(items[ITEM_ID], one_array(among[ITEM_ID]))


def _quantizer(codes: CodesFiles) -> str | None:
    return dict(codes.parents).get("quantizer")


class GiveTokens(beam.PTransform):
    """The numbers of shards -> `codes` and `retired`: every (shard, table of `schema.CODES_FILE`).

    Args:
        files: to read.
        num_tokens: codes of the extra level.
    """

    def __init__(self, files: TokenFiles, num_tokens: int) -> None:
        super().__init__()
        self._files, self._num_tokens = files, num_tokens

    def expand(self, shards: PCollection[int]) -> DoOutputsTuple:
        num_shards = self._files.num_shards
        return (
            shards
            | "Stand" >> beam.FlatMap(_by_codes, self._files).with_output_types(Shard)
            | "GroupCodes" >> GroupParts()
            | "Give" >> beam.FlatMap(_give, self._num_tokens, num_shards).with_output_types(Shard)
            | "GroupItems" >> GroupShards(_TOKENS, num_shards)
            | "Join" >> beam.FlatMap(_join, self._files).with_outputs(RETIRED, main=CODES)
        )


def _by_codes(shard: int, files: TokenFiles) -> Iterator[Shard]:
    """Items by their codes; `token` is null where one is to be given."""
    now, before, encoded, published, places = files.standing(shard, [ITEM_ID, CODES])
    new = places < 0
    nothing = pa.nulls(int(new.sum()), pa.int32())
    yield from _parts(now[ITEM_ID].filter(pa.array(new)), encoded[new], nothing, files.num_shards)
    tokens = pa.array(published[:, -1])
    yield from _parts(before[ITEM_ID], published[:, :-1], tokens, files.num_shards)


def _parts(ids: pa.ChunkedArray, codes: np.ndarray, tokens: pa.Array, num_shards: int) -> Iterator[Shard]:
    columns = {ITEM_ID: ids, SEMANTIC_ID: semantic_ids(codes), CODES: vectors(codes), _TOKEN: tokens}
    for shard, table in partition(pa.table(columns), num_shards, SEMANTIC_ID):
        yield shard, table.drop_columns(SEMANTIC_ID)


def _give(element: Shard, num_tokens: int, num_shards: int) -> Iterator[Shard]:
    """Tokens of the new items of some groups, of which everything is here."""
    _, table = element
    given = np.asarray(table[_TOKEN].is_valid())
    new, published = (table.filter(pa.array(rows)) for rows in (~given, given))
    if not len(new):
        return
    before = np.column_stack([matrix(published[CODES]), published[_TOKEN].to_numpy()])
    items = sid.add_collision_tokens(_items(new, matrix(new[CODES])), num_tokens, _items(published, before))
    tokens = pa.array(items.codes[:, -1])
    yield from partition(pa.table([new[ITEM_ID], tokens], _TOKENS), num_shards)


def _items(table: pa.Table, codes: np.ndarray) -> sid.ItemCodes:
    return sid.ItemCodes(table[ITEM_ID].to_numpy(zero_copy_only=False).astype(object), codes)


def _join(element: Shard, files: TokenFiles) -> Iterator[Shard | TaggedOutput]:
    shard, tokens = element
    now, before, encoded, published, places = files.standing(shard, CODES_FILE.names)
    given, known = tokens[_TOKEN].take(_rows(now, tokens)).fill_null(0), places >= 0
    codes = np.column_stack([encoded, given.to_numpy()])
    codes[known] = published[places[known]]
    gone = ~np.isin(np.arange(len(before)), places)
    outdated = (codes[:, :-1] != encoded).any(axis=1).sum()
    counts = (known.sum(), (~known).sum(), outdated, gone.sum())
    for name, count in zip(_COUNTERS, counts, strict=True):
        count_items(name, int(count))
    columns = {CODES: vectors(codes), SEMANTIC_ID: semantic_ids(codes)}
    yield shard, pa.table({name: columns.get(name, now[name]) for name in now.column_names}).cast(CODES_FILE)
    yield TaggedOutput(RETIRED, (shard, before.filter(pa.array(gone)).sort_by(ITEM_ID)))


def make_collision_tokens(
    codes: str,
    output: str | Path,
    num_tokens: int,
    previous: str | None = None,
    options: PipelineOptions | None = None,
) -> sid.Artifact:
    """Publishes the codes with a token for each item.

    Args:
        codes: published output of `pipelines.encode`.
        output: folder to make, on any Beam file system.
        num_tokens: codes of the extra level; tokens lie in [0, num_tokens). Not fewer than in `previous`.
        previous: earlier output of this job.
        options: for Beam.

    Raises:
        ArtifactError: an output is incomplete; `output` exists.
        CodesError: more items share their codes than there are tokens.
        ConfigError: a number is out of range, or Beam refuses its options.
        ProvenanceError: `previous` is of another quantizer, or no output of this job.
    """
    target = new_output(output, options)
    files = TokenFiles.open(codes, previous, num_tokens)
    with filling(target) as folder:
        report = _run(files, num_tokens, folder, options)
        write_json(folder, "report.json", report)
        return publish_output(folder, target, _manifest(files, num_tokens, folder, report))


def _run(files: TokenFiles, num_tokens: int, folder: str, options: PipelineOptions | None) -> dict[str, Any]:
    places = {door: make_folder(folder, door) for door in (CODES, RETIRED)}

    def build(pipeline: beam.Pipeline) -> None:
        shards = pipeline | beam.Create(range(files.num_shards)) | "Spread" >> beam.Reshuffle()
        doors = shards | GiveTokens(files, num_tokens)
        for door, place in places.items():
            doors[door] | f"Write_{door}" >> beam.ParDo(WritePart({"parquet": place}, files.num_shards))

    result = run_job(build, options)
    remove_attempts(folder)
    return {name: read_counter(result, name) for name in _COUNTERS}


def _manifest(files: TokenFiles, num_tokens: int, folder: str, report: dict[str, Any]) -> sid.Manifest:
    space = sid.CodeSpace(files.codes.space.num_levels + 1, (*files.codes.space.codebook_sizes, num_tokens))
    config = {"num_levels": space.num_levels, "codebook_size": space.codebook_size, "num_tokens": num_tokens}
    before = files.previous.fingerprint if files.previous else None
    inputs = sid.fingerprint(KIND, files.codes.fingerprint, before, num_tokens)
    parents = dict(files.codes.parents) | {"encoded": files.codes.fingerprint}
    return sid.Manifest(KIND, codes_fingerprint(folder), inputs, parents, config, report)


def _parser() -> JobParser:
    parser = JobParser(
        prog="python -m pipelines.collision_tokens",
        description="Tells items of equal codes apart by one code more. Further options are Beam's own.",
        allow_abbrev=False,
    )
    parser.add_argument("--codes", required=True, help="output of pipelines.encode")
    parser.add_argument("--previous", help="earlier output of this job; its items keep their Semantic IDs")
    parser.add_argument("--num_tokens", type=int, default=256, help="codes of the extra level; default 256")
    parser.add_argument("--output", required=True, help="folder to make; it must not exist")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit status as `pipelines.running.exit_status`."""
    arguments, options = _parser().parse(argv)

    def job() -> None:
        artifact = make_collision_tokens(
            arguments.codes, arguments.output, arguments.num_tokens, arguments.previous, options
        )
        found = ", ".join(f"{count:,} {name}" for name, count in artifact.manifest.metrics.items())
        print(f"{found}: {arguments.output}")

    return exit_status(job)


if __name__ == "__main__":
    sys.exit(main())
