"""Measures quantizers side by side: `python -m benchmarks.quantizer`.

Fits each contender on nine tenths of a catalogue, judges it on all of it, and times encoding in turns. The
table and, as the last line, one JSON object go to standard output, progress to standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

import semid_tf as sid
from benchmarks.batches import full_batches
from benchmarks.bound import MatrixProducts
from benchmarks.catalogue import draw_embeddings, embeddings_from_generator, read_embeddings
from benchmarks.clock import Cost, cost_of
from benchmarks.contenders import NAMES, Contender, LeftOutError, Task, make_contender
from benchmarks.counts import count
from benchmarks.holdout import Holdout, hold_out
from benchmarks.quality import Quality, judge
from benchmarks.report import Figures, json_line, markdown_table
from benchmarks.speed import Runner, items_per_s
from benchmarks.threads import limit_tensorflow, limited_libraries, notes_on_blas

USER_MISTAKE, INTERRUPTED = 2, 130
_BATCHES_A_TURN = 8


class Fitted(NamedTuple):
    """A contender after `fit`: what that cost, and how good it is."""

    contender: Contender
    cost: Cost
    quality: Quality


def measure(
    embeddings: np.ndarray, holdout: Holdout, contenders: Mapping[str, Contender], task: Task, turns: int
) -> dict[str, Figures]:
    """Figures of each contender on the same embeddings, float32 [n, dim].

    Args:
        embeddings: of the whole catalogue.
        holdout: which items are fitted on.
        contenders: not yet fitted.
        task: what they were made for.
        turns: in which encoding is timed.
    """
    fitted = {name: fit_and_judge(name, it, embeddings, holdout, task) for name, it in contenders.items()}
    speeds = encoding_speeds({name: it.contender for name, it in fitted.items()}, embeddings, turns)
    return {name: figures_of(it, *speeds[name]) for name, it in fitted.items()}


def fit_and_judge(
    name: str, contender: Contender, embeddings: np.ndarray, holdout: Holdout, task: Task
) -> Fitted:
    """Fits on the items to train on, then encodes and decodes all."""
    train = embeddings[holdout.train]
    _say(f"{name}: fit {len(train):,} items")
    cost = cost_of(lambda: contender.fit(train))
    quality = judge(contender, embeddings, holdout, sid.CodeSpace(task.num_levels, task.codebook_size))
    errors = f"MSE {quality.normalized_mse:.4f}, new {quality.normalized_mse_new:.4f}"
    _say(f"{name}: {cost.cpu_s:.1f} CPU-s, {errors}")
    return Fitted(contender, cost, quality)


def encoding_speeds(
    contenders: Mapping[str, Contender], embeddings: np.ndarray, turns: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Items a second of encoding, and of its matrix products alone, each float64 [turns]."""
    products = {name: tuple(it.products()) for name, it in contenders.items()}
    runners: dict[Hashable, Runner] = {name: it.encode for name, it in contenders.items()}
    runners |= {shapes: MatrixProducts(shapes) for shapes in products.values()}
    _say(f"encode: {turns} turns")
    speeds = items_per_s(runners, full_batches(embeddings, _BATCHES_A_TURN), turns)
    return {name: (speeds[name], speeds[products[name]]) for name in contenders}


def figures_of(fitted: Fitted, encode: np.ndarray, bound: np.ndarray) -> Figures:
    """Medians over the turns; the share of the bound is the median of each turn's share."""
    return Figures(
        **fitted.quality._asdict(),
        fit_s=fitted.cost.cpu_s,
        fit_wall_s=fitted.cost.wall_s,
        encode_items_per_s=float(np.median(encode)),
        matmul_bound_items_per_s=float(np.median(bound)),
        encode_share_of_bound=float(np.median(encode / bound)),
    )


def make_contenders(names: Sequence[str], task: Task) -> dict[str, Contender]:
    """The contenders of these names; one that cannot take part is left out with a line that says so."""
    contenders = {}
    for name in names:
        try:
            contenders[name] = make_contender(name, task)
        except LeftOutError as error:
            _say(str(error))
    return contenders


def run(arguments: argparse.Namespace) -> dict[str, Figures]:
    """Does what the arguments say.

    Raises:
        DataError: the embeddings cannot be used.
    """
    embeddings = _embeddings(arguments)
    holdout = hold_out(len(embeddings), arguments.holdout, arguments.seed)
    task = Task(arguments.levels, arguments.codebook_size, arguments.seed, arguments.threads)
    require_use(embeddings, holdout, task)
    contenders = make_contenders(arguments.only, task)
    with limited_libraries(task.threads):
        for note in notes_on_blas():
            _say(note)
        return measure(embeddings, holdout, contenders, task, arguments.turns)


def require_use(embeddings: np.ndarray, holdout: Holdout, task: Task) -> None:
    """Raises `DataError` if the items are too few or all alike."""
    if len(holdout.train) < task.codebook_size:
        raise sid.DataError(
            f"{len(holdout.train)} items to train on are too few for codebook size {task.codebook_size}."
        )
    for side, rows in holdout._asdict().items():
        if (embeddings[rows] == embeddings[rows[0]]).all():
            raise sid.DataError(
                f"all {side} items are equal; items must differ for an error to mean something."
            )


def _embeddings(arguments: argparse.Namespace) -> np.ndarray:
    if arguments.embeddings:
        return read_embeddings(arguments.embeddings)
    size = arguments.items, arguments.dim, arguments.seed
    if arguments.generator:
        return embeddings_from_generator(arguments.generator, *size)
    return draw_embeddings(*size)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _seed(text: str) -> int:
    seed = int(text)
    if seed < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {seed}")
    return seed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quantizer",
        description="Measures quantizers side by side; the last line is one JSON object.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--embeddings", metavar="FILE.npy", help="float [n, dim], instead of drawn ones")
    source.add_argument(
        "--generator", metavar="FILE.py", help="its make_embeddings(n, d, seed=...) draws them"
    )
    parser.add_argument("--items", type=count, default=100_000, help="to draw")
    parser.add_argument("--dim", type=count, default=128, help="to draw")
    parser.add_argument("--seed", type=_seed, default=0, help="of the drawn items, the holdout and every fit")
    parser.add_argument("--levels", type=count, default=3, help="codes of a Semantic ID")
    parser.add_argument("--codebook-size", type=count, default=256, help="codes of each level")
    parser.add_argument("--holdout", type=float, default=0.1, help="share of the items that come as new")
    parser.add_argument("--threads", type=count, default=2, help="of every library")
    parser.add_argument("--turns", type=count, default=7, help="in which encoding is timed")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="contenders", metavar="NAME")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line.

    Returns:
        Exit status: 0; 2 after a user's mistake, which is said in one line; 130 after Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    if not limit_tensorflow(arguments.threads):
        _say("TensorFlow runs already; it keeps its threads.")
    try:
        entries = run(arguments)
    except sid.SemidError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_MISTAKE
    except KeyboardInterrupt:
        print("interrupted; nothing was measured", file=sys.stderr)
        return INTERRUPTED
    print(markdown_table(entries))
    print(json_line(entries))
    return 0


if __name__ == "__main__":
    sys.exit(main())
