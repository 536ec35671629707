"""A quantizer whose training was interrupted is trained on by the next run, not anew."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tf_keras
from small_world import write_config, write_world

import semid_tf as sid
from semid_tf import chain as chain_module
from semid_tf.chain import Chain


class Count(tf_keras.callbacks.Callback):
    """Counts epochs, and presses Ctrl-C after one of them."""

    def __init__(self, interrupt_after: int = 0) -> None:
        super().__init__()
        self.interrupt_after, self.epochs = interrupt_after, list[int]()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.epochs.append(epoch)
        if epoch + 1 == self.interrupt_after:
            raise KeyboardInterrupt


def test_the_next_run_trains_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_world(tmp_path)
    settings = {"epochs": 3}

    def quantizer(output: str, count: Count) -> tuple[sid.Artifact, list[str]]:
        monkeypatch.setattr(chain_module, "fit_rqvae", partial(sid.fit_rqvae, callbacks=[count]))
        config = write_config(tmp_path / "run.toml", tmp_path, tmp_path / output, quantizer=settings)
        said: list[str] = []
        return Chain(sid.load_run_config(config), said.append).quantizer, said

    with pytest.raises(KeyboardInterrupt):
        quantizer("broken", Count(interrupt_after=2))
    assert list((tmp_path / "broken").glob(".unfinished-*/fit-2.index"))
    rest = Count()
    went_on, _ = quantizer("broken", rest)
    assert rest.epochs == [2]
    assert not list((tmp_path / "broken").glob(".unfinished-*"))
    unbroken, _ = quantizer("unbroken", Count())
    assert went_on.fingerprint == unbroken.fingerprint


@pytest.mark.parametrize("kmeans", [None, sid.ResidualKMeansConfig(num_levels=2, codebook_size=16)])
def test_a_collapse_is_said_in_a_line(tmp_path: Path, kmeans: sid.ResidualKMeansConfig | None) -> None:
    write_world(tmp_path)
    items = sid.read_items(tmp_path / "items.parquet")
    # Nineteen of twenty items are one.
    same = items.embeddings[np.maximum(np.arange(len(items)) - len(items) * 19 // 20, 0)]
    table = items.table.drop_columns("embedding").append_column("embedding", pa.array(list(same)))
    events = sid.read_interactions(tmp_path / "interactions.parquet")
    sid.write_tables(tmp_path, sid.items_from_table(table), events)
    config = write_config(tmp_path / "run.toml", tmp_path, tmp_path / "out")
    said: list[str] = []
    settings = sid.load_run_config(config)
    if kmeans:
        settings = dataclasses.replace(settings, quantizer=sid.RQVAEConfig(), residual_kmeans=kmeans)
    assert Chain(settings, said.append).quantizer
    assert next(line for line in said if "is dead" in line).startswith(
        "quantizer: level 0 is dead, nearly all items have one code: "
    )
