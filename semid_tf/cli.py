"""The command `semid`: one sub-command a step, and `semid run` for the whole chain."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from semid_tf.chain import Chain, load_ranker
from semid_tf.config import load_run_config
from semid_tf.daily import DAY, cut_into_days, train_by_day
from semid_tf.errors import ConfigError, SemidError
from semid_tf.interrupt import kept_interrupt
from semid_tf.methods import METHODS, features_of
from semid_tf.models import Ranker
from semid_tf.report import print_summary, summarize, without_nan, write_summary
from semid_tf.training import extended_ranker
from serving.docker import IMAGE, docker_command
from serving.server.config import ServerConfig, one_model, read_models, require_base_path
from serving.server.local import Addresses, serve

USER_MISTAKE, INTERRUPTED = 2, 130

_console = Console(width=None if sys.stdout.isatty() else 140)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="semid-tf")
def app() -> None:
    """Semantic IDs for TensorFlow recommenders.

    Every step reads and writes artifacts in the output folder, and makes the steps before it if need be.
    """


def _step(name: str, about: str, do: Callable[[Chain], Any]) -> None:
    """Adds a sub-command."""

    @app.command(name, help=about)
    @click.argument("config", metavar="CONFIG.toml")
    @click.option("--output", default="", help="Folder of the artifacts, instead of the one in the file.")
    @click.option("--quantizer", default="", help="A published quantizer to use instead of training one.")
    @click.option(
        "--codes", default="", help="Published codes, of that quantizer, to use instead of encoding."
    )
    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    def command(config: str, output: str, quantizer: str, codes: str, debug: bool) -> None:
        with _mistakes_in_one_line(debug), kept_interrupt():
            settings = load_run_config(config)
            settings = dataclasses.replace(settings, output=output or settings.output)
            do(Chain(settings, _say, quantizer, codes))


@contextmanager
def _mistakes_in_one_line(debug: bool) -> Iterator[None]:
    try:
        yield
    except (SemidError, OSError) as error:
        if debug:
            raise
        click.echo(f"semid: error: {error}", err=True)
        sys.exit(USER_MISTAKE)
    except KeyboardInterrupt:
        click.echo("semid: interrupted; finished steps are kept, the next run goes on from there.", err=True)
        sys.exit(INTERRUPTED)


def _say(line: str) -> None:
    _console.print(line, soft_wrap=True, highlight=False, markup=False)


def _run(chain: Chain) -> None:
    started = time.perf_counter()
    summary = summarize(chain, lambda: time.perf_counter() - started)
    path = write_summary(chain.store.root, summary)
    print_summary(summary, _console)
    _say(f"{'summary':28} {path}")


def _quality(chain: Chain) -> None:
    click.echo(json.dumps(chain.quality()))


_step("run", "Runs the whole chain, re-using the steps whose inputs have not changed.", _run)
_step("prepare", "1. Checks the tables and draws the ranking examples.", lambda chain: chain.examples)
_step("train-quantizer", "2. Trains the RQ-VAE and saves it as a SavedModel.", lambda chain: chain.quantizer)
_step("encode", "3. Encodes the whole catalogue with Apache Beam.", lambda chain: chain.codes)
_step("quality", "Prints how good the Semantic IDs are, as JSON in the last line.", _quality)
_step("train-tokenizer", "4. Trains SentencePiece over the codes.", lambda chain: chain.tokenizer)
_step("train-rankers", "5. Trains a ranker for each method.", lambda chain: chain.rankers)
_step("evaluate", "6. Evaluates the rankers after the training period.", lambda chain: chain.evaluations)
_step("export", "7. Exports the best Semantic-ID ranker for TensorFlow Serving.", lambda chain: chain.export)
_step("verify", "8. Scores with the export in a bare process.", lambda chain: chain.verification)


@app.command("train-ranker")
@click.argument("config", metavar="CONFIG.toml")
@click.option("--from", "start", default="", help="A ranker.keras to go on from, instead of the run's own.")
@click.option("--method", default="sentencepiece", show_default=True, type=click.Choice(METHODS))
@click.option("--days", default=7, show_default=True, help="At most so many days after training.")
@click.option("--period", default=DAY, show_default=True, help="Length of a day in the timestamps' unit.")
@click.option("--epochs", default=1, show_default=True, help="Passes over each day.")
@click.option("--save", default="", help="Where to write the ranker of the last day but one.")
@click.option("--quantizer", default="", help="A published quantizer to use instead of training one.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def train_ranker_command(
    config: str,
    start: str,
    method: str,
    days: int,
    period: int,
    epochs: int,
    save: str,
    quantizer: str,
    debug: bool,
) -> None:
    """Goes on training a ranker day by day, and ranks each next day; JSON lines, one a day.

    Days are those of UTC; integer timestamps count as microseconds unless --period says otherwise. A ranker
    given by --from must be of this method, catalogue and codes; items may have been added behind its own.
    """
    with _mistakes_in_one_line(debug), kept_interrupt():
        chain = Chain(load_run_config(config), _say, quantizer)
        cut = cut_into_days(chain.splits.test, days, period)
        ranker = _going_on(start, method, chain) if start else chain.load_ranker(method)
        settings = dataclasses.replace(ranker.config, epochs=epochs)
        for figures in train_by_day(ranker, cut, chain.splits.item_counts, settings):
            click.echo(json.dumps(without_nan(figures._asdict())))
        if save:
            ranker.save(save)


def _going_on(start: str, method: str, chain: Chain) -> Ranker:
    return extended_ranker(load_ranker(start), features_of(method, chain.catalogue))


@app.command("serve")
@click.argument("base_dir", metavar="MODEL_BASE_DIR", default="")
@click.option("--config", "models", default="", help="TensorFlow Serving's model_config_file, for several.")
@click.option("--name", default="", help="Of the model; the folder's name if left out.")
@click.option("--host", default=ServerConfig.host, show_default=True, help="Address to listen at.")
@click.option("--grpc-port", default=ServerConfig.grpc_port, show_default=True, help="0 = any free port.")
@click.option("--rest-port", default=ServerConfig.rest_port, show_default=True, help="0 = any free port.")
@click.option("--tls-cert", default="", help="PEM file; with --tls-key, TLS only.")
@click.option("--tls-key", default="", help="PEM file of the certificate's key.")
@click.option(
    "--max-message-mb", default=ServerConfig.max_message_mb, show_default=True, help="Of a request."
)
@click.option(
    "--max-candidates",
    default=ServerConfig.max_candidates,
    show_default=True,
    help="Of a request, all users'.",
)
@click.option(
    "--max-in-flight",
    default=ServerConfig.max_in_flight,
    show_default=True,
    help="Requests at the same time.",
)
@click.option(
    "--drain", "drain_s", default=ServerConfig.drain_s, show_default=True, help="Seconds to end requests in."
)
@click.option("--docker", is_flag=True, help="Print the command for TensorFlow Serving's image, and run it.")
@click.option("--image", default=IMAGE, show_default=True, help="With --docker; another of its versions.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def serve_command(
    base_dir: str, models: str, name: str, docker: bool, image: str, debug: bool, **settings: Any
) -> None:
    """Serves exports by TensorFlow Serving's protocols, for development and small use.

    Production runs TensorFlow Serving itself on the same folders. Nothing but this machine reaches the server
    unless --host says otherwise. It stops at SIGINT or SIGTERM, after the requests under way.
    """
    with _mistakes_in_one_line(debug):
        if bool(base_dir) == bool(models):
            raise ConfigError("give either MODEL_BASE_DIR or --config.")
        if models and name:
            raise ConfigError("--name is that of MODEL_BASE_DIR; with --config the file names the models.")
        if base_dir:
            require_base_path(base_dir)
        name, config = name or Path(base_dir).absolute().name, ServerConfig(**settings)
        if docker:
            _serve_by_docker(name, base_dir, config, image)
        served = read_models(models) if models else one_model(name, base_dir)
        _show_versions()
        serve(served, config, _say_addresses)


def _serve_by_docker(name: str, base_dir: str, config: ServerConfig, image: str) -> None:
    """Becomes the process of docker."""
    if not base_dir or config != ServerConfig(config.host, config.grpc_port, config.rest_port):
        raise ConfigError(
            "--docker takes one MODEL_BASE_DIR, no TLS and no limits; see serving/config for more."
        )
    command = docker_command(name, base_dir, config.host, config.grpc_port, config.rest_port, image)
    click.echo(shlex.join(command))
    if not shutil.which(command[0]):
        raise ConfigError("docker is not installed here; run the command above where it is.")
    sys.stdout.flush()
    os.execvp(command[0], command)


def _show_versions() -> None:
    """One line on standard error for each version that is loaded, refused or unloaded."""
    logger = logging.getLogger("serving.server")
    logger.addHandler(logging.StreamHandler())
    logger.setLevel(logging.INFO)


def _say_addresses(addresses: Addresses) -> None:
    click.echo(f"serving: gRPC {addresses.grpc}, REST {addresses.rest}")


def main() -> None:
    """Entry point of the command."""
    app()
