"""What a fit shows: live, in event files, and by an alarm where levels collapse."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import semid_tf as sid
from semid_tf.progress import ProgressBar
from semid_tf.quantizer import fit
from semid_tf.quantizer.code_figures import EpochFigures
from semid_tf.quantizer.fit import start_rqvae
from semid_tf.quantizer.rqvae import Learned

CONFIG = sid.RQVAEConfig(
    num_levels=2, codebook_size=8, latent_dim=4, hidden_dim=8, epochs=2, batch_size=128, kmeans_iterations=5
)
# Nothing moves, so that all epochs see the codes of the start.
STILL = dataclasses.replace(
    CONFIG, learning_rate=0.0, revive_after_steps=1000, input_noise=0.0, hidden_dropout=0.0
)


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    """Four hundred items in clusters."""
    return sid.synthetic_items(400, dim=8, seed=1).embeddings


class Record(tf_keras.callbacks.Callback):
    """Keeps the figures of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.logs = list[dict]()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.logs.append(dict(logs or {}))


def test_figures_of_an_epoch_are_those_of_its_codes(embeddings: np.ndarray) -> None:
    record = Record()
    start = start_rqvae(embeddings, None, STILL)
    sid.fit_rqvae(embeddings, config=STILL, callbacks=[record])
    codes = start.encode(embeddings, start.config.training_beam_width).numpy()
    expected = {
        "usage": sid.code_usage(codes, STILL.code_space),
        "perplexity": sid.perplexity(codes, STILL.code_space),
        "revived": [0, 0],
    }
    losses, _ = start.losses_of(embeddings)
    assert len(record.logs) == 2
    for logs in record.logs:
        for name, values in expected.items():
            found = [logs[f"{name}/level_{level}"] for level in (0, 1)]
            np.testing.assert_allclose(found, values, rtol=1e-6)
        # Three batches of 128 and one of 16: the mean over steps.
        assert logs["loss"] == pytest.approx(losses.numpy().mean() / 8, rel=0.2)
        assert logs["normalized_mse"] == pytest.approx(
            sid.normalized_mse(embeddings, start(embeddings).numpy()), rel=1e-5
        )


def test_revived_codes_are_counted(embeddings: np.ndarray) -> None:
    """A code that no item can choose is moved once, and is then in use."""
    model = start_rqvae(embeddings, None, dataclasses.replace(CONFIG, revive_after_steps=2, input_noise=0.0))
    model.compile(tf_keras.optimizers.Adam(0.0))
    model.quantizer.codebooks.assign(
        tf.tensor_scatter_nd_update(model.quantizer.codebooks, [[1, 3]], [tf.fill([4], 1e6)])
    )
    learned = [model.learn(embeddings) for _ in range(4)]
    assert [step.revived.numpy().tolist() for step in learned] == [[0, 0], [0, 1], [0, 0], [0, 0]]
    assert [int(step.code_counts[1, 3] > 0) for step in learned] == [0, 0, 1, 1]
    residuals = model.losses_of(embeddings)[1].residuals[1].numpy()
    moved = model.quantizer.codebooks[1, 3].numpy()
    assert np.abs(residuals - moved).max(axis=1).min() < 1e-6, "it moved onto a residual of its level"


def test_a_draw_is_fixed_by_seed_and_step(embeddings: np.ndarray) -> None:
    def moved(seed: int, steps_before: int) -> np.ndarray:
        model = start_rqvae(embeddings, None, dataclasses.replace(CONFIG, revive_after_steps=1))
        model.config = dataclasses.replace(model.config, seed=seed)
        model.compile(tf_keras.optimizers.Adam(0.0))
        model.optimizer.build(model.trainable_variables)
        model.optimizer.iterations.assign(steps_before)
        model.quantizer.codebooks.assign(tf.fill(model.quantizer.codebooks.shape, 1e6))
        tf.random.uniform(())  # what else draws has no influence
        model.learn(embeddings)
        return model.quantizer.codebooks.numpy()

    np.testing.assert_array_equal(moved(0, 5), moved(0, 5))
    for seed, step in ((1, 5), (0, 6)):
        assert not np.array_equal(moved(seed, step), moved(0, 5))


def test_event_files_hold_the_figures(embeddings: np.ndarray, tmp_path: Path) -> None:
    record, sizes = Record(), (8, 4)
    config = dataclasses.replace(STILL, codebook_size=sizes)
    model = sid.fit_rqvae(embeddings, config=config, event_files=tmp_path, callbacks=[record])
    (path,) = tmp_path.iterdir()
    read: dict[tuple[str, int], np.ndarray] = {}
    plugins = {}
    for record_of_event in tf.data.TFRecordDataset(str(path)):
        event = tf.compat.v1.Event.FromString(record_of_event.numpy())
        for value in event.summary.value:
            read[value.tag, event.step] = tf.make_ndarray(value.tensor)
            plugins[value.tag] = value.metadata.plugin_data.plugin_name
    histograms = {f"items_per_code/level_{level}" for level in (0, 1)}
    assert {tag for tag, plugin in plugins.items() if plugin == "histograms"} == histograms
    assert {tag for tag, plugin in plugins.items() if plugin == "scalars"} == set(record.logs[0])
    for epoch, logs in enumerate(record.logs, 1):
        for name, value in logs.items():
            assert read[name, epoch] == pytest.approx(value, rel=1e-6)
    codes = model.encode(embeddings, model.config.training_beam_width).numpy()
    counts = [np.bincount(level, minlength=size) for level, size in zip(codes.T, sizes, strict=True)]
    for level, of_level in enumerate(counts):
        assert read[f"items_per_code/level_{level}", 2][:, 2].sum() == sizes[level]
        for left, right, codes in read[f"items_per_code/level_{level}", 2]:
            last = right == of_level.max()
            inside = (of_level >= left) & ((of_level <= right) if last else (of_level < right))
            assert codes == inside.sum()


def test_the_bar_shows_the_use_of_codes_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = EpochFigures(sid.CodeSpace(2, 4))
    bar = ProgressBar("train", 1, figures.live, done=3)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    bar.on_train_begin()
    bar.bar.mininterval = 0
    assert bar.bar.n == 3
    counts = tf.constant([[5, 5, 0, 0], [1, 1, 1, 1]])
    figures.add(Learned(tf.constant(1.0), counts, tf.constant([0, 0])))
    bar.on_train_batch_end(0)
    assert bar.bar.postfix == "usage=0.50/1.00, perplexity=2/4"
    figures.add(Learned(tf.constant(1.0), counts[:, ::-1], tf.constant([0, 0])))
    bar.on_train_batch_end(1)
    assert bar.bar.postfix == "usage=1.00/1.00, perplexity=4/4"
    bar.on_train_end()


def test_a_fit_shows_them(embeddings: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    sid.fit_rqvae(embeddings, config=CONFIG)
    assert re.search(
        r"8/8.*loss=.*normalized_mse=.*usage=1.00/1.00, perplexity=\d/\d", capsys.readouterr().err
    )


def test_fewer_different_items_than_codes_is_said(embeddings: np.ndarray) -> None:
    """Not one of the levels can have more than five codes in use."""
    with pytest.warns(sid.CodebookCollapseWarning) as caught:
        sid.fit_rqvae(np.tile(embeddings[:5], (40, 1)), config=CONFIG)
    few = "; there are only 5 different items, so lower codebook_size or give more items."
    assert all(str(warning.message).endswith(few) for warning in caught)
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.filterwarnings("ignore::semid_tf.DivergenceWarning")
def test_a_collapse_in_training_is_said_though_the_start_is_kept(embeddings: np.ndarray) -> None:
    config = dataclasses.replace(CONFIG, codebook_size=32, learning_rate=30.0, epochs=6)
    with pytest.warns(sid.CodebookCollapseWarning) as caught:
        model = sid.fit_rqvae(embeddings, config=config)
    assert model.fingerprint == start_rqvae(embeddings, None, config).fingerprint
    (first, _, _) = (str(warning.message) for warning in caught)
    assert re.match(
        r"epoch 0 is kept because in the last one level 0 has collapsed: \d+ of 32 codes in use \(\d+ %\), "
        r"perplexity \d+\.\d; revive dead codes sooner \(revive_after_steps\), ",
        first,
    ), first


def test_a_healthy_fit_of_many_codes_is_silent(
    recwarn: pytest.WarningsRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch is judged by 200 items, which cannot use 128 codes; all 2,000 do."""
    monkeypatch.setattr(fit, "_JUDGED_ITEMS", 200)
    items = sid.synthetic_items(2_000, dim=8, seed=3).embeddings
    config = dataclasses.replace(CONFIG, codebook_size=128, batch_size=1024)
    model = sid.fit_rqvae(items, config=config)
    assert not [warning for warning in recwarn if issubclass(warning.category, sid.CodebookCollapseWarning)]
    assert min(sid.code_usage(model.encode(items[:200]).numpy(), config.code_space)) < 0.85


def test_a_healthy_fit_is_silent(recwarn: pytest.WarningsRecorder, embeddings: np.ndarray) -> None:
    sid.fit_rqvae(embeddings, config=CONFIG)
    assert not [warning for warning in recwarn if issubclass(warning.category, sid.CodebookCollapseWarning)]
