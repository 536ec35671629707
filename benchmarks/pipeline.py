"""Measures the encode job beside what it could be at best: `python -m benchmarks.pipeline`.

A random corpus is written as Parquet and encoded by the bare SavedModel over batches in memory, by a plain
loop (read, encode, write), by the job on the local runner with one and two workers, by the job on a Flink
cluster of this machine (after `make flink`), and by an incremental run with one item in a hundred changed.
The jobs run over a thousandth as many items too, which tells what they cost before the first item. Each has a
process of its own. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import atexit
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.clock import cost_of
from benchmarks.counts import count
from benchmarks.processes import TICK_S, in_own_process, tree_cpu_s, tree_peak_rss_mb

_FILE_ITEMS = 65_536
_ROW_GROUP = 16_384
_BATCH = 4_096
_CHANGED_EVERY = 100
_LATENT_DIM, _HIDDEN_DIM = 64, 512
INTERRUPTED = 130


class Sizes(NamedTuple):
    """Of the corpus and of the quantizer."""

    items: int
    dim: int
    levels: int
    codebook_size: int


class Measured(NamedTuple):
    """What one way of encoding took, start-up of the job and load of the model included, imports not.

    On Flink, the CPU-seconds are those of all its processes, imports of the workers included, and the memory
    is that of the largest one.
    """

    wall_s: float
    cpu_s: float
    peak_rss_mb: float


def write_corpus(folder: Path, sizes: Sizes, changed: bool) -> None:
    """Writes `item_id`, `embedding` (standard normal); one in a hundred other embeddings where `changed`."""
    folder.mkdir()
    for start in range(0, sizes.items, _FILE_ITEMS):
        count = min(_FILE_ITEMS, sizes.items - start)
        matrix = np.random.default_rng(start).standard_normal((count, sizes.dim), np.float32)
        if changed:
            matrix[::_CHANGED_EVERY] *= -1
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), sizes.dim)
        item_ids = pa.array([f"item-{i:010d}" for i in range(start, start + count)])
        pq.write_table(
            pa.table({"item_id": item_ids, "embedding": vectors}),
            folder / f"items-{start:010d}.parquet",
            row_group_size=_ROW_GROUP,
            use_dictionary=False,
            compression="none",
        )


def write_quantizer(folder: Path, sizes: Sizes) -> None:
    """Publishes an RQ-VAE with random weights, as fast as a trained one.

    Its search is greedy at any number of levels: the less the model does, the more the job weighs beside it.
    """
    import semid_tf as sid

    space = {"num_levels": sizes.levels, "codebook_size": sizes.codebook_size}
    config = sid.RQVAEConfig(
        num_levels=sizes.levels,
        codebook_size=sizes.codebook_size,
        latent_dim=_LATENT_DIM,
        hidden_dim=_HIDDEN_DIM,
    )
    model = sid.RQVAE(sizes.dim, config)
    model.build((None, sizes.dim))
    books = model.quantizer.codebooks
    shrink = 0.8 ** np.arange(sizes.levels)[:, None, None]
    books.assign(np.random.default_rng(0).standard_normal(books.shape) * shrink)
    with sid.staging(folder.parent) as staged:
        sid.save_quantizer(model, staged, beam_width=1)
        sid.publish(staged, folder, sid.Manifest("quantizer", "0" * 16, "random weights", config=space))


def bare_model(work: Path, sizes: Sizes) -> Callable[[], object]:
    """The SavedModel alone, over batches in memory; no more than 32 different ones."""
    encode = _load(work)
    batches = np.random.default_rng(0).standard_normal((32, _BATCH, sizes.dim), np.float32)
    rounds, rest = divmod(sizes.items, _BATCH)

    def run() -> None:
        for number in range(rounds):
            encode(batches[number % len(batches)])
        if rest:
            encode(batches[0][:rest])

    encode(batches[0])
    return run


def plain_loop(work: Path, sizes: Sizes) -> Callable[[], object]:
    """Read, encode, write: one process, no checks, no accounting."""
    _read_once(work / "items")

    def run() -> None:
        encode, writer = _load(work), None
        for path in sorted((work / "items").iterdir()):
            for batch in pq.ParquetFile(path).iter_batches(_BATCH):
                codes = encode(batch.column("embedding").flatten().to_numpy().reshape(-1, sizes.dim))
                column = pa.FixedSizeListArray.from_arrays(pa.array(codes.ravel()), sizes.levels)
                table = pa.table({"item_id": batch.column("item_id"), "codes": column})
                writer = writer or pq.ParquetWriter(work / "loop.parquet", table.schema)
                writer.write_table(table)
        if writer:
            writer.close()

    return run


def _read_once(folder: Path) -> None:
    """What follows finds the files in memory: it is not the disk that is measured."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass


def _load(work: Path) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    model = tf.saved_model.load(str(work / "quantizer"))
    return lambda batch: model.signatures["encode"](embedding=tf.constant(batch))["codes"].numpy()


def local_job(work: Path, workers: int, items: str = "items") -> Callable[[], object]:
    """The encode job on the local runner."""
    options = [f"--direct_num_workers={workers}", "--direct_running_mode=multi_threading"]
    return _job(work, items, f"{items}-{workers}", options if workers > 1 else [], None)


def flink_job(work: Path, items: str = "items") -> Callable[[], object]:
    """The encode job on a cluster of two task managers, which runs already."""
    from pipelines.flink.cluster import local_cluster
    from pipelines.flink.java import flink_home

    stack = ExitStack()
    cluster = stack.enter_context(local_cluster(flink_home()))
    atexit.register(stack.close)
    return _job(work, items, f"{items}-flink", cluster.beam_options, None)


def incremental_job(work: Path, items: str = "items") -> Callable[[], object]:
    """The encode job over the changed corpus, after `local_job` with one worker."""
    return _job(work, f"{items}-changed", f"{items}-incremental", [], work / f"{items}-1")


def _job(
    work: Path, items: str, output: str, options: list[str], previous: Path | None
) -> Callable[[], object]:
    from apache_beam.options.pipeline_options import PipelineOptions

    from pipelines.encode import publish_corpus

    _read_once(work / items)
    pattern = str(work / items / "*.parquet")
    return lambda: publish_corpus(
        pattern, work / "quantizer", work / output, PipelineOptions(options), previous=previous
    )


def measured_alone(make: Callable[..., Callable[[], object]], *arguments: Any) -> Measured:
    """Measures `make(*arguments)()` in a fresh process; see `in_own_process`."""
    return in_own_process(_measure, make, *arguments)


def _measure(make: Callable[..., Callable[[], object]], *arguments: Any) -> Measured:
    cost = cost_of(make(*arguments), tree_cpu_s)
    return Measured(cost.wall_s, max(cost.cpu_s, TICK_S), tree_peak_rss_mb())


def figures(sizes: Sizes, measured: dict[str, Measured]) -> dict[str, float]:
    """The JSON object: `<name>_items_per_s`, `<name>_items_per_cpu_s`, and how they compare.

    >>> runs = dict.fromkeys(["saved_model", "loop", "local", "local_2"], Measured(2.0, 4.0, 100.0))
    >>> runs |= {"incremental": Measured(0.5, 1.0, 90.0), "local_start": Measured(1.0, 2.0, 80.0)}
    >>> runs["incremental_start"] = Measured(0.2, 0.5, 80.0)
    >>> found = figures(Sizes(8, 1, 1, 1), runs)
    >>> found["local_items_per_s"], found["local_items_per_cpu_s"], found["incremental_share_of_full"]
    (4.0, 2.0, 0.25)
    >>> found["local_share_of_saved_model_per_cpu"], found["local_share_of_saved_model_per_cpu_after_start"]
    (1.0, 2.0)
    """
    found: dict[str, float] = dict(sizes._asdict())
    for name, run in measured.items():
        if name.endswith("_start"):
            found[f"{name}_cpu_s"] = round(run.cpu_s, 2)
            continue
        found[f"{name}_items_per_s"] = round(sizes.items / run.wall_s, 1)
        found[f"{name}_items_per_cpu_s"] = round(sizes.items / run.cpu_s, 1)
        found[f"{name}_peak_rss_mb"] = round(run.peak_rss_mb, 1)
    local, incremental = measured["local"], measured["incremental"]
    local_start, incremental_start = measured["local_start"].cpu_s, measured["incremental_start"].cpu_s
    local_rest = max(local.cpu_s - local_start, TICK_S)
    incremental_rest = incremental.cpu_s - incremental_start
    return found | {
        "peak_rss_mb": round(local.peak_rss_mb, 1),
        "local_share_of_saved_model_per_cpu": round(measured["saved_model"].cpu_s / local.cpu_s, 4),
        "local_share_of_loop_per_cpu": round(measured["loop"].cpu_s / local.cpu_s, 4),
        "incremental_share_of_full": round(incremental.wall_s / local.wall_s, 4),
        "incremental_share_of_full_cpu": round(incremental.cpu_s / local.cpu_s, 4),
        "local_share_of_saved_model_per_cpu_after_start": round(
            measured["saved_model"].cpu_s / local_rest, 4
        ),
        "incremental_share_of_full_cpu_after_start": round(incremental_rest / local_rest, 4),
    }


def measure(work: Path, sizes: Sizes) -> dict[str, Measured]:
    """All ways of encoding, one after the other, in a folder that has room for two copies of the corpus."""
    from pipelines.flink.java import flink_home, has_flink

    write_corpus(work / "items", sizes, changed=False)
    measured_alone(_writing, work / "quantizer", sizes)
    few = sizes._replace(items=max(1, sizes.items // 1000))
    write_corpus(work / "few", few, changed=False)
    write_corpus(work / "few-changed", few, changed=True)
    runs: dict[str, tuple[Any, ...]] = {
        "saved_model": (bare_model, work, sizes),
        "loop": (plain_loop, work, sizes),
        "local": (local_job, work, 1),
        "local_2": (local_job, work, 2),
        "local_start": (local_job, work, 1, "few"),
        "incremental_start": (incremental_job, work, "few"),
    }
    if has_flink(flink_home()):
        runs |= {"flink": (flink_job, work), "flink_start": (flink_job, work, "few")}
    measured = {name: measured_alone(*run) for name, run in runs.items()}
    shutil.rmtree(work / "items")
    write_corpus(work / "items-changed", sizes, changed=True)
    return measured | {"incremental": measured_alone(incremental_job, work)}


def _writing(folder: Path, sizes: Sizes) -> Callable[[], object]:
    return lambda: write_quantizer(folder, sizes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline",
        description="Measures the encode job; the last line is one JSON object.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--items", type=count, default=200_000)
    parser.add_argument("--dim", type=count, default=768)
    parser.add_argument("--levels", type=count, default=8)
    parser.add_argument("--codebook-size", type=count, default=2048)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line.

    Returns:
        Exit status: 0; 130 after Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    sizes = Sizes(arguments.items, arguments.dim, arguments.levels, arguments.codebook_size)
    try:
        with tempfile.TemporaryDirectory() as work:
            measured = measure(Path(work), sizes)
    except KeyboardInterrupt:
        print("interrupted; nothing was measured", file=sys.stderr)
        return INTERRUPTED
    print(json.dumps(figures(sizes, measured)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
