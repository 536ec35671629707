"""The local server beside calling the SavedModel in process; one JSON object last.

    python -m benchmarks.serving                          # some minutes: 100,000 requests for the memory
    python -m benchmarks.serving --requests 10000

benchmarks/README.md says what each field means.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import urllib3

import semid_tf as sid
from serving.client import Client
from serving.export import FAST, export_ranker
from serving.remote.errors import ServingError
from serving.server.metrics import PATH
from serving.warmup import WarmupExample

NAME, SIGNATURE = "ranker", "rank_item_ids"
_ITEMS, _DIM, _HISTORY = 20_000, 64, 50
_CLIENTS = (1, 8, 32)
_MB, _FIRST = 1 << 20, 1000
Inputs = dict[str, np.ndarray]


class Server(NamedTuple):
    """A server process and its addresses."""

    process: subprocess.Popen
    grpc: str
    rest: str

    def resident_mb(self) -> float:
        """Memory in use."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / _MB

    def answered(self) -> int:
        """Requests that it counts as done without an error."""
        page = urllib3.request("GET", self.rest + PATH).data.decode()
        found = re.search(rf'serving:request_count{{model_name="{NAME}",status="OK"}} (\S+)', page)
        return int(float(found[1])) if found else 0


def export_example(folder: Path) -> np.ndarray:
    """Exports a ranker of default size over a drawn catalogue; its item ids, str [n]."""
    embeddings = sid.synthetic_items(_ITEMS, dim=_DIM, seed=0).embeddings
    config = sid.ResidualKMeansConfig(num_levels=3, codebook_size=64, iterations=2, refinements=0)
    model = sid.fit_residual_kmeans(embeddings, config=config)
    with tempfile.TemporaryDirectory() as place, sid.staging(place) as staged:
        sid.save_quantizer(model, staged)
        settings = {"num_levels": config.num_levels, "codebook_size": config.codebook_size}
        manifest = sid.Manifest("quantizer", model.fingerprint, "inputs", config=settings)
        quantizer = sid.SavedQuantizer(sid.publish(staged, Path(place) / "it", manifest))
        items = sid.ItemTable(
            np.array([f"item-{i:06}" for i in range(_ITEMS)], object),
            quantizer.encode(embeddings),
            quantizer.code_space,
        )
        tokenizer = sid.PrefixTokenizer(quantizer.code_space, num_rows=4096)
        pieces, ranker_config = tokenizer.encode(items.codes), sid.RankerConfig()
        embedding = sid.PieceEmbedding(tokenizer.num_rows, ranker_config.dim)
        ranker = sid.Ranker(ranker_config, sid.CatalogueEmbedding.of(pieces, embedding))
        ids = items.item_ids.astype(str)
        example = WarmupExample(ids[None, :_HISTORY], ids[None, :100], embeddings[None, :100])
        export_ranker(ranker, tokenizer, items, quantizer, folder, example, FAST)
    return ids


@contextmanager
def serving(root: Path) -> Iterator[Server]:
    """`semid serve` in a process of its own."""
    code = "from semid_tf.cli import main; main()"
    command = [sys.executable, "-u", "-c", code, "serve", str(root), "--name", NAME]
    with subprocess.Popen(
        [*command, "--grpc-port", "0", "--rest-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            grpc, rest = re.findall(r"[\d.]+:\d+", line)
            yield Server(process, f"grpc://{grpc}", f"http://{rest}")
        finally:
            process.terminate()


def drawn(ids: np.ndarray, candidates: int) -> Inputs:
    """One user and his candidates."""
    random = np.random.default_rng(candidates)
    return {"history": random.choice(ids, (1, _HISTORY)), "candidates": random.choice(ids, (1, candidates))}


def in_turns(calls: dict[str, Callable[[], Any]], turns: int) -> dict[str, np.ndarray]:
    """Milliseconds of each call, one after the other in each turn, so that other work meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(turns + turns // 10):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if turn >= turns // 10:
                times[name].append((time.perf_counter() - started) * 1e3)
    return {name: np.array(values) for name, values in times.items()}


def per_second(call: Callable[[], Any], clients: int, seconds: float) -> float:
    """Calls a second by so many threads."""
    counts, started = [0] * clients, time.perf_counter()

    def work(place: int) -> None:
        while time.perf_counter() < started + seconds:
            call()
            counts[place] += 1

    threads = [threading.Thread(target=work, args=(place,)) for place in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


def throughput(direct: Callable[[], Any], remote: Callable[[], Any], turns: int, seconds: float) -> dict:
    """Requests a second in process by two threads, and by each number of clients; medians over turns."""
    rounds = []
    for _ in range(turns):
        found = {"in_process": per_second(direct, 2, seconds)}
        rounds.append(found | {str(n): per_second(remote, n, seconds) for n in _CLIENTS})
    shares = [found["8"] / found["in_process"] for found in rounds]
    medians = {name: round(float(np.median([found[name] for found in rounds])), 1) for name in rounds[0]}
    return {"requests_per_s": medians, "throughput_share": round(float(np.median(shares)), 3)}


def swap_under_load(root: Path, client: Client, inputs: Inputs) -> dict[str, int]:
    """Requests, and those that failed, while a second version takes over."""
    failed, asked, stop = [], [0], threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                asked[0] += 1
                client.predict(NAME, inputs, SIGNATURE)
            except ServingError as error:
                failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    shutil.copytree(root / "1", root / ".staging")
    (root / ".staging").rename(root / "2")
    until = time.monotonic() + 60
    while {one.version: one.state for one in client.status(NAME)} != {1: "END", 2: "AVAILABLE"}:
        if time.monotonic() > until:
            raise RuntimeError("the second version did not take over within 60 s.")
        time.sleep(0.1)
    time.sleep(1)
    stop.set()
    for thread in threads:
        thread.join()
    return {"swap_requests": asked[0], "swap_failed": len(failed)}


def memory_growth(server: Server, client: Client, inputs: Inputs, requests: int) -> dict[str, float]:
    """Memory after so many requests less that after 1,000, and the requests as the server counts them."""
    before = server.answered()
    for _ in range(_FIRST):
        client.predict(NAME, inputs, SIGNATURE)
    start = server.resident_mb()
    for _ in range(requests - _FIRST):
        client.predict(NAME, inputs, SIGNATURE)
    growth = round(server.resident_mb() - start, 1)
    return {"memory_requests": server.answered() - before, "memory_growth_mb": growth}


def latencies(direct: Any, server: Server, inputs: Inputs, turns: int) -> dict[str, float]:
    """Medians and p99, in process, by gRPC and by REST."""

    def call() -> Any:
        found = direct(**{name: tf.constant(values) for name, values in inputs.items()})
        return {name: tensor.numpy() for name, tensor in found.items()}

    with Client(server.grpc, 60) as grpc, Client(server.rest, 60) as rest:
        times = in_turns(
            {
                "in_process": call,
                "grpc": lambda: grpc.predict(NAME, inputs, SIGNATURE),
                "rest": lambda: rest.predict(NAME, inputs, SIGNATURE),
            },
            turns,
        )
    figures = {f"{name}_p50_ms": float(np.median(values)) for name, values in times.items()}
    figures |= {f"{name}_p99_ms": float(np.percentile(values, 99)) for name, values in times.items()}
    figures["grpc_ratio"] = figures["grpc_p50_ms"] / figures["in_process_p50_ms"]
    return {name: round(value, 3) for name, value in figures.items()}


def measure(root: Path, turns: int, seconds: float, requests: int) -> dict[str, Any]:
    """All figures."""
    ids = export_example(root / "1")
    direct = tf.saved_model.load(str(root / "1")).signatures[SIGNATURE]
    large, small = drawn(ids, 1000), drawn(ids, 100)
    with serving(root) as server, Client(server.grpc, 60, attempts=1) as client:
        figures: dict[str, Any] = latencies(direct, server, large, turns)
        figures["candidates_100"] = latencies(direct, server, small, turns)
        figures |= throughput(
            lambda: direct(**{name: tf.constant(values) for name, values in large.items()})["scores"].numpy(),
            lambda: client.predict(NAME, large, SIGNATURE),
            3,
            seconds,
        )
        figures |= swap_under_load(root, client, small)
        figures |= memory_growth(server, client, drawn(ids, 10), requests)
    return figures


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--turns", type=int, default=300, help="calls behind each median")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each throughput measurement")
    parser.add_argument("--requests", type=int, default=100_000, help="for the memory figure; above 1,000")
    options = parser.parse_args()
    if options.requests <= _FIRST:
        parser.error(f"--requests must be above {_FIRST}, got {options.requests}.")
    with tempfile.TemporaryDirectory() as root:
        print(json.dumps(measure(Path(root), options.turns, options.seconds, options.requests)))


if __name__ == "__main__":
    main()
